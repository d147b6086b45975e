from __future__ import annotations

import pytest

from replicell.todo.line import single_line


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("Buy milk", "Buy milk"),
        ("  Buy milk \n", "Buy milk"),
        ("two\r\nlines\tand \u2028 more", "two lines and more"),
        ("\x1b[31mred\x07", "[31mred"),
        ("買い物 👩‍👧 é", "買い物 👩‍👧 é"),
        ("abc\u202edef\u200f", "abcdef"),
        ("\ufffdhidden \ufffc", "hidden"),
        ("\udcff surrogate", "surrogate"),
        (" \n\t ", ""),
        ("", ""),
    ],
)
def test_a_line_holds_what_can_be_stored_and_printed(given: str, line: str) -> None:
    assert single_line(given) == line


def test_a_line_does_not_grow_without_limit() -> None:
    assert len(single_line("x" * 1_000_000)) == 2_000
