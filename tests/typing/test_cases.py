"""Type checkers understand the public API: they accept what is right and refuse what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.typing.harness import CASES, CHECKERS, Finding, compared, expected_by


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_the_expected_errors_and_no_others(checker: str) -> None:
    files = sorted(CASES.glob("*.py"))
    assert any(expected_by(checker, files))
    assert compared(checker, files) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("checker", "rule"), [("mypy", "assignment"), ("pyright", "reportAssignmentType")])
def test_what_is_missed_and_what_is_too_much_is_told(checker: str, rule: str, tmp_path: Path) -> None:
    case = tmp_path / "case.py"
    case.write_text(f"right: int = 1  # expect: {checker}[{rule}]\nwrong: int = 'one'\n")
    missed, too_much = compared(checker, [case])
    assert missed == f"case.py:1: expected [{rule}], which was not found"
    assert too_much.startswith(f"case.py:2: found [{rule}]: ")


def test_an_expectation_names_a_checker_and_a_rule(tmp_path: Path) -> None:
    case = tmp_path / "case.py"
    case.write_text("a: int = ''  # expect: mypy[assignment], pyright[reportAssignmentType]\n")
    assert expected_by("mypy", [case]) == {Finding("case.py", 1, "assignment")}
    assert expected_by("pyright", [case]) == {Finding("case.py", 1, "reportAssignmentType")}
    case.write_text("a: int = ''  # expect: an error\n")
    with pytest.raises(ValueError, match=r"case.py:1: write '# expect: mypy\[rule\]"):
        expected_by("mypy", [case])
