"""What one client's flood costs the others: an edit until it is acknowledged, beside a flood and without."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.lines.sync import percentile_of
from benchmarks.measure import Figure, cost
from benchmarks.processes import ROOT, python

__all__ = ["limits_figures"]

SECTION = "Limits"
EDITS = 150
ROUNDS = 3
FLOODS = (
    ("transactions of 1,000 rows", "flood", 1000),
    ("transactions of one row", "flood", 1),
    ("presence states of 1,000 bytes", "show", 1000),
    ("messages that change nothing", "mutter", 1),
    ("connections to new rooms, one after the other", "wander", 1),
)
ROOMS = (("in the same room", "room"), ("in another room", "other"))


def limits_figures() -> Iterator[Figure]:
    """The lines of limits, measured by turns: quiet, flooded, quiet ..."""
    for flood_name, work, size in FLOODS:
        with tempfile.TemporaryDirectory() as folder, python("benchmarks.sync_server", folder) as server:
            url = f"ws://localhost:{server.receive()['port']}"
            quiet: dict[str, list[float]] = {room: [] for _, room in ROOMS}
            flooded: dict[str, list[float]] = {room: [] for _, room in ROOMS}
            for _, room in ROOMS:  # to warm up
                edit_times(f"{url}/{room}")
            for _ in range(ROUNDS):
                for _, room in ROOMS:
                    quiet[room] += edit_times(f"{url}/{room}")
                with flooding(f"{url}/room", work, size):
                    # What the flooder may do at first, before it is held up, is over after these.
                    edit_times(f"{url}/room")
                    for _, room in ROOMS:
                        flooded[room] += edit_times(f"{url}/{room}")
            for room_name, room in ROOMS:
                for name, percentile in (("p50", 50), ("p95", 95)):
                    yield Figure(
                        SECTION,
                        f"an edit {room_name}, while one client floods: {flood_name}, {name}",
                        percentile_of(flooded[room], percentile),
                        "the same without the flood",
                        percentile_of(quiet[room], percentile),
                        cost(2) if percentile == 50 else None,
                        ratio="cost",
                    )


def edit_times(url: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.flood", "edit", url, str(EDITS)],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    times: list[float] = json.loads(done.stdout)
    return times


@contextmanager
def flooding(url: str, work: str, size: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.flood", work, url, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
