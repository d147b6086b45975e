"""Cells on their way to a page: nothing is lost, nothing is long, everything is JSON that a browser reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.store import MISSING, Store
from replicell.store.notebook.wire import MOST_TEXT, page_cell


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        (MISSING, []),
        (None, None),
        (False, False),
        (2**53 - 1, 2**53 - 1),
        (2**53, ["int", "9007199254740992"]),
        (-(2**70), ["int", str(-(2**70))]),
        (1.5, 1.5),
        ("text", "text"),
        ('\ufffd{"a":1}', ["json", '{"a":1}', 7]),
        ("x" * 301, ["text", "x" * 300, 301]),
        ("\ud83d half", "? half"),
    ],
)
def test_a_cell_is_sent_so_that_javascript_reads_it_without_loss(cell: Any, sent: Any) -> None:
    assert page_cell(cell) == sent


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_cell_is_sent_as_bounded_json(cell: Any) -> None:
    encoded = Store().set_cell("t", "r", "c", cell).get_encoded_cell("t", "r", "c")
    text = json.dumps(page_cell(encoded), allow_nan=False, ensure_ascii=False).encode()
    assert len(text) < 8 * MOST_TEXT
