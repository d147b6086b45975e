"""Commits that clients have not been told of yet: small ones become one batch, in order and whole."""

from __future__ import annotations

from itertools import count

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.gathering import Gathering
from replicell.sync.messages import Changes, decode, encode

EPOCH = b"e" * 16
ANNA, BOB = frozenset((b"a" * 16,)), frozenset((b"b" * 16,))


def frame(until: int, text: str = "milk", part: int = 0, last: bool = True) -> bytes:
    change = Change("todo", pack_key([str(until)]), "text", text, 1, 1, 0, until)
    encoded = encode(Changes(EPOCH, until - 1, until, until, part, last, [change]))
    assert isinstance(encoded, bytes)
    return encoded


def gathering() -> Gathering:
    return Gathering(count(100).__next__)


def test_one_commit_goes_out_as_it_came() -> None:
    gathered = gathering()
    gathered.add(1, ANNA, [frame(1)])

    assert gathered.until == 1
    assert gathered.take() == [(1, ANNA, (frame(1),))]
    assert gathered.until == 0
    assert gathered.take() == []


def test_small_commits_become_one_batch_of_all_their_versions() -> None:
    gathered = gathering()
    for version in (1, 2, 3):
        gathered.add(version, ANNA, [frame(version)])

    ((until, authors, (joined,)),) = gathered.take()

    changes = decode(joined)
    assert isinstance(changes, Changes)
    assert (until, authors) == (3, ANNA)
    assert (changes.since, changes.until, changes.batch, changes.part, changes.last) == (0, 3, 100, 0, True)
    assert [row.db_version for row in changes.rows] == [1, 2, 3]


def test_a_batch_of_several_authors_goes_to_all_of_them() -> None:
    gathered = gathering()
    gathered.add(1, ANNA, [frame(1)])
    gathered.add(2, BOB, [frame(2)])

    ((_, authors, _),) = gathered.take()

    assert authors == frozenset()


def test_a_commit_of_several_parts_stays_by_itself() -> None:
    gathered = gathering()
    parts = [frame(2, part=0, last=False), frame(2, part=1)]
    gathered.add(1, ANNA, [frame(1)])
    gathered.add(2, ANNA, parts)
    gathered.add(3, ANNA, [frame(3)])

    assert [(news.until, news.frames) for news in gathered.take()] == [
        (1, (frame(1),)),
        (2, tuple(parts)),
        (3, (frame(3),)),
    ]


def test_big_commits_are_not_joined() -> None:
    gathered = gathering()
    for version in (1, 2, 3):
        gathered.add(version, ANNA, [frame(version, "x" * 40_000)])

    assert [news.until for news in gathered.take()] == [1, 2, 3]
