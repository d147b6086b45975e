"""The films: the ``movies`` data set that ``vega_datasets`` names, from the npm package that carries it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

__all__ = ["Films", "FilmsError", "fetch_films", "read_films"]

PACKAGE = "vega-datasets@2.11.0"
MEMBER = "package/data/movies.json"
MAJOR_DISTRIBUTOR = 100
"""How many films make a distributor a major one."""

Films = dict[str, dict[str, Any]]


class FilmsError(Exception):
    """The data set is not there; the message says how to get it."""


def fetch_films() -> Path:
    """Return the data set's file, fetched with npm the first time.

    The Python package has only its address, the npm package of the same project has the file.

    Raises:
        FilmsError: if npm is missing or fails.
    """
    cached = user_cache_path("replicell") / "movies.json"
    if cached.exists():
        return cached
    if shutil.which("npm") is None:
        raise FilmsError("npm is needed to fetch the data set; install it, or give a file with --input")
    with tempfile.TemporaryDirectory() as folder:
        packing = subprocess.run(
            ["npm", "pack", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        archives = list(Path(folder).glob("*.tgz"))
        if packing.returncode != 0 or not archives:
            raise FilmsError(f"npm could not fetch {PACKAGE}: {packing.stderr.strip()[-300:]}; try --input")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(MEMBER)
            if member is None:
                raise FilmsError(f"{PACKAGE} holds no {MEMBER}; give a file with --input")
            content = member.read()
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(cached)
    return cached


def read_films(path: Path) -> tuple[Films, Films]:
    """Return the films and their distributors as two tables.

    Raises:
        FilmsError: if the file is not that data set.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not entries or not isinstance(entries, list):
            raise FilmsError(f"{path} holds no list of films; give the movies data set")
        films = {f"{number:04}": film_of(entry) for number, entry in enumerate(entries, start=1)}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FilmsError(f"{path} is not the movies data set: {error}") from error
    counts: dict[str, int] = {}
    for film in films.values():
        name = film["distributor"]
        counts[name] = counts.get(name, 0) + 1
    distributors = {
        name: {"kind": "major" if count >= MAJOR_DISTRIBUTOR else "independent", "films": count}
        for name, count in counts.items()
    }
    return films, distributors


def film_of(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": str(entry["Title"]),
        "year": datetime.strptime(entry["Release Date"], "%b %d %Y").year,
        "genre": entry["Major Genre"] or "unknown",
        "distributor": entry["Distributor"] or "unknown",
        "budget": entry["Production Budget"],
        "gross": entry["Worldwide Gross"],
        "rating": entry["IMDB Rating"],
    }
