"""The ring of recent batches."""

from __future__ import annotations

from replicell.sync.ring import Ring, RingEntry


def entry(since: int, until: int, size: int = 10) -> RingEntry:
    return RingEntry(since, until, frozenset(), (b"x" * size,), [], None)


def test_a_new_ring_has_nothing_and_stands_at_the_rooms_version() -> None:
    ring = Ring(7)

    assert (ring.since, ring.until, ring.after(7), ring.after(0)) == (7, 7, None, None)


def test_it_gives_the_batch_that_holds_the_next_version() -> None:
    ring = Ring(0)
    first, second = entry(0, 3), entry(3, 4)
    ring.append(first)
    ring.append(second)

    assert [ring.after(version) for version in range(5)] == [first, first, first, second, None]


def test_the_oldest_batches_make_room() -> None:
    ring = Ring(0, max_bytes=25)
    for version in range(5):
        ring.append(entry(version, version + 1))

    assert (ring.since, ring.until) == (3, 5)
    assert ring.after(2) is None
    assert ring.after(3) == entry(3, 4)


def test_a_batch_that_is_too_big_empties_it() -> None:
    ring = Ring(0, max_bytes=25)
    ring.append(entry(0, 1))
    ring.append(entry(1, 2, size=100))

    assert (ring.since, ring.until, ring.after(0), ring.after(1)) == (2, 2, None, None)


def test_after_a_restart_it_goes_on_from_there() -> None:
    ring = Ring(0)
    ring.append(entry(0, 1))
    ring.restart(9)

    assert ring.after(0) is None
    ring.append(entry(9, 10))
    assert ring.after(9) == entry(9, 10)
