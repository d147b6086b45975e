"""``make movies``: what is derived from 3,201 films follows every edit, and every edit can be taken back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.movies.__main__ import Cinema
from examples.movies.films import FilmsError, fetch_films, read_films

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def films_file() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches the data set, is not installed")
    return fetch_films()


def run_movies(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.movies", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_the_program_tells_its_four_chapters(films_file: Path) -> None:
    result = run_movies("--input", str(films_file))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.count("metrics") == 4
    assert result.stdout.count("The Godfather: Part II") == 3
    assert "3201 writes" in result.stdout


def test_everything_derived_equals_what_the_films_say(films_file: Path) -> None:
    films, distributors = read_films(films_file)
    cinema = Cinema(distributors)
    for row_id, film in films.items():
        cinema.store.set_row("films", row_id, film)
    ratings = [film["rating"] for film in films.values() if film["rating"] is not None]
    assert cinema.metrics.get_metric("films") == len(films) == 3201
    assert cinema.metrics.get_metric("best rating") == max(ratings)
    assert cinema.metrics.get_metric("average rating") == pytest.approx(sum(ratings) / len(ratings))
    years = Counter(str(film["year"]) for film in films.values())
    assert {year: len(cinema.indexes.get_slice_row_ids("by year", year)) for year in years} == years
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for film in films.values():
        groups.setdefault((film["genre"], distributors[film["distributor"]]["kind"]), []).append(film)
    averages = {
        group: sum(film["gross"] or 0 for film in members)
        / len([f for f in members if f["gross"] is not None])
        for group, members in groups.items()
        if len(members) >= 10
    }
    best = sorted(averages, key=lambda group: -averages[group])[:6]
    rows = cinema.queries.get_result_table("genres").values()
    assert [(row["genre"], row["distributor"]) for row in rows] == best
    assert [row["films"] for row in rows] == [len(groups[group]) for group in best]


def test_taking_an_edit_back_restores_everything(films_file: Path) -> None:
    films, distributors = read_films(films_file)
    cinema = Cinema(distributors)
    cinema.store.set_table("films", films)
    cinema.checkpoints.add_checkpoint("released")
    before = (cinema.store.get_tables(), cinema.metrics.get_metric("average rating"))
    cinema.store.del_table("films")
    assert cinema.metrics.get_metric("films") is None
    cinema.checkpoints.go_backward()
    cinema.checkpoints.go_forward()
    cinema.checkpoints.go_backward()
    assert cinema.store.get_tables() == before[0]
    assert cinema.metrics.get_metric("average rating") == pytest.approx(before[1])


@pytest.mark.parametrize("content", [None, "", "{}", json.dumps([{"Title": "No date"}])])
def test_a_file_that_is_not_the_data_set_is_refused_in_one_line(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "films.json"
    if content is not None:
        file.write_text(content)
    result = run_movies("--input", str(file))
    assert result.returncode == 1
    assert result.stderr.startswith("movies: ")
    assert len(result.stderr.splitlines()) == 1
    with pytest.raises(FilmsError):
        read_films(file)
