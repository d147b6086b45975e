"""Cells come back from the database as they went."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.crsqlite.cells import (
    UnreadableValueError,
    decode_cell,
    encode_cell,
    why_unstorable,
)
from replicell.store.cells import is_reserved

RICH = "\ufffd"
TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not is_reserved(text))
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.sampled_from([RICH + "{}", RICH + "[]", RICH + '{"a":[1,null,"é"]}']),
)


@given(CELLS)
def test_every_cell_survives_sqlite_with_its_type(cell: Any) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (c)")
    assert why_unstorable(cell) is None
    connection.execute("INSERT INTO t VALUES (?)", (encode_cell(cell),))
    read = decode_cell(connection.execute("SELECT c FROM t").get)
    connection.close()
    assert (read, type(read)) == (cell, type(cell))


@pytest.mark.parametrize(
    ("cell", "plain"),
    [(True, "true"), (False, "false"), (None, "null"), (RICH + '{"a":1}', '{"a":1}')],
)
def test_what_sqlite_has_no_type_for_is_readable_as_json(cell: Any, plain: str) -> None:
    connection = apsw.Connection(":memory:")
    assert connection.execute("SELECT substr(?, 2)", (encode_cell(cell),)).get == plain
    connection.close()


def test_zero_and_one_are_booleans_only_where_the_schema_says_so() -> None:
    assert decode_cell(0, as_boolean=True) is False
    assert decode_cell(1, as_boolean=True) is True
    assert decode_cell(2, as_boolean=True) == 2
    assert type(decode_cell(1)) is int


@pytest.mark.parametrize(
    "value", [b"x", float("inf"), "\ufffc", RICH, RICH + "nothing", RICH + "1", RICH + '{"a":NaN}']
)
def test_what_is_no_cell_is_not_taken_for_one(value: Any) -> None:
    with pytest.raises(UnreadableValueError):
        decode_cell(value)


@pytest.mark.parametrize("cell", [2**63, -(2**63) - 1, "half \ud800 pair"])
def test_what_sqlite_cannot_hold_is_known_before(cell: Any) -> None:
    assert why_unstorable(cell)
