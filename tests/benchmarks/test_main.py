"""What `make bench` tells, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchmarks.__main__ as program
from benchmarks.measure import Figure, cost


def figures(section: str, minutes: float) -> Iterator[Figure]:
    yield Figure(
        "Scale", f"first of {section}", 0.002, "by hand", 0.001, cost(1.5), "cost", note=f"{minutes} min"
    )
    raise RuntimeError("the second one failed")


def test_what_was_measured_is_told_with_its_values_at_once_and_kept_if_a_later_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "figures_of", figures)
    monkeypatch.setattr(program, "describe_conditions", lambda: "on a slow machine")

    with pytest.raises(RuntimeError, match="the second one failed"):
        program.main(["scale", "--minutes", "2", "--json", str(tmp_path / "figures.json")])

    first, *rest = capsys.readouterr().out.splitlines()
    assert first == (
        "Scale: first of scale (2.0 min): 2 ms; by hand: 1 ms;"
        " 2.00 times the cost, ≤ 1.5 times the cost missed"
    )
    assert "0 of 1 targets met" in rest
    (kept,) = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert (kept["ours"], kept["theirs"]) == (0.002, 0.001)
