"""Reading the user's CSV for the demo: numbers become numbers only where nothing of the text is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.demo import dataset
from examples.demo.dataset import DatasetError, parse_field, read_cars, read_csv


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("2.50", 2.5),
        ("1e3", 1000.0),
        ("007", "007"),
        ("0123.5", "0123.5"),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("1e999", "1e999"),
        ("12345678901234567890", "12345678901234567890"),
        ("٣", "٣"),
        ("true", "true"),
        (" 1", " 1"),
    ],
)
def test_a_field_becomes_a_cell(text: str, cell: Any) -> None:
    parsed = parse_field(text)
    assert parsed == cell
    assert type(parsed) is type(cell)


def test_the_cars_hold_every_kind_of_cell() -> None:
    cars = read_cars()
    assert len(cars) == 406
    assert {type(cell) for car in cars.values() for cell in car.values()} == {type(None), int, float, str}


def test_more_than_one_line_can_carry_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MOST_BYTES", 40)
    file = tmp_path / "birds.csv"
    file.write_text("name\nrobin\n")
    assert read_csv(file) == {"00001": {"name": "robin"}}
    file.write_text("name\nrobin\n" + "crow\n" * 10)
    with pytest.raises(DatasetError, match="the demo takes 40; give a part of it"):
        read_csv(file)
