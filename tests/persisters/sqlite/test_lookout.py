"""One thread looks at all databases, and no longer than there are any."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run

import pytest

from replicell.persisters.sqlite.lookout import Lookout

PATIENCE = 10.0


@dataclass(eq=False)
class File:
    """Notes who looks at it, and when."""

    poll_interval: float = 0.001
    next_look: float = 0.0
    lookers: list[threading.Thread] = field(default_factory=list)
    seen: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        self.lookers.append(threading.current_thread())
        self.next_look = time.monotonic() + self.poll_interval
        self.seen.set()

    def is_seen_again(self) -> bool:
        self.seen.clear()
        return self.seen.wait(PATIENCE)


@pytest.fixture
def lookout() -> Iterator[Lookout]:
    lookout = Lookout()
    yield lookout
    for watched in tuple(lookout._watched):
        lookout.discard(watched)


def test_all_are_looked_at_again_and_again_by_one_thread(lookout: Lookout) -> None:
    files = [File() for _ in range(5)]
    for file in files:
        lookout.add(file)

    for file in files * 2:
        assert file.is_seen_again()

    assert len({thread for file in files for thread in file.lookers}) == 1


def test_one_that_comes_later_does_not_wait_for_the_rest_of_the_others(lookout: Lookout) -> None:
    lookout.add(File(poll_interval=1e6))
    hurried = File()
    lookout.add(hurried)

    assert hurried.is_seen_again()


def test_those_that_are_added_without_end_keep_nobody_from_being_looked_at(lookout: Lookout) -> None:
    file = File(poll_interval=0.05)
    lookout.add(file)
    began = time.monotonic()
    others = 0
    while not file.seen.is_set() and time.monotonic() < began + PATIENCE:
        other = File(poll_interval=0.05, next_look=1e18)
        lookout.add(other)
        lookout.discard(other)
        others += 1

    assert file.seen.is_set()
    assert others > 1


def test_one_that_has_looked_by_itself_is_left_alone_until_it_is_due(lookout: Lookout) -> None:
    eager, other = File(next_look=time.monotonic() + 1e6), File()
    lookout.add(eager)
    lookout.add(other)

    for _ in range(3):
        assert other.is_seen_again()
    assert eager.lookers == []


def test_the_thread_ends_with_the_last_and_another_one_begins_with_the_next(lookout: Lookout) -> None:
    first, second = File(), File()
    lookout.add(first)
    assert first.is_seen_again()
    lookout.discard(first)
    first.lookers[0].join(PATIENCE)
    assert not first.lookers[0].is_alive()

    lookout.add(second)
    assert second.is_seen_again()
    assert second.lookers[0] is not first.lookers[0]


def test_one_that_is_no_longer_there_is_not_looked_at(lookout: Lookout) -> None:
    gone, here = File(), File()
    lookout.add(here)
    lookout.add(gone)
    assert gone.is_seen_again()
    lookout.discard(gone)
    assert here.is_seen_again()  # Or the round in which it was discarded might still go on.
    looks = len(gone.lookers)

    assert here.is_seen_again()
    assert len(gone.lookers) == looks


def test_one_that_fails_keeps_no_other_from_being_looked_at(
    lookout: Lookout, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(File):
        def look(self) -> None:
            super().look()
            raise ValueError("no such luck")

    broken, other = Broken(), File()
    lookout.add(broken)
    assert broken.is_seen_again()
    lookout.add(other)

    assert other.is_seen_again()
    assert len(broken.lookers) == 1
    assert "no such luck" in caplog.text


def test_the_more_there_are_the_less_often_each_is_looked_at(lookout: Lookout) -> None:
    for _ in range(30):
        lookout.add(File(poll_interval=0.01))
    assert lookout.pause(0.01) == pytest.approx(30 * 0.0004)

    for file in list(lookout._watched)[1:]:
        lookout.discard(file)
    assert lookout.pause(0.01) == 0.01


FORKED = """
import asyncio, os, sqlite3, sys, threading
from replicell.persisters import SqliteDatabase

path = sys.argv[1]


async def hear(name):
    heard = asyncio.Queue()
    async with SqliteDatabase(f"{path}/{name}.db") as db:
        await db.execute("CREATE TABLE t (a)")
        db.on_change(lambda change: heard.put_nowait(change) if change.external else None)
        other = sqlite3.connect(f"{path}/{name}.db")
        for number in range(3):
            with other:
                other.execute("INSERT INTO t VALUES (?)", (number,))
            await asyncio.wait_for(heard.get(), 10)
        other.close()


def be_child():
    try:
        asyncio.run(hear("child"))
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)


async def main():
    async with SqliteDatabase(f"{path}/parent.db"):
        await hear("parent's first")
        child = os.fork()
        if child == 0:
            # This thread runs the parent's event loop.
            threading.Thread(target=be_child).start()
            threading.Event().wait()
        assert os.waitpid(child, 0)[1] == 0
    await hear("parent's second")


asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_process_looks_at_its_own_files(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
