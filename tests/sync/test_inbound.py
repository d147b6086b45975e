"""The receiving half: in order, whole, and never past a gap."""

from __future__ import annotations

import pytest

from replicell.persisters.crsqlite.changes import Change
from replicell.sync.actions import Action, Send
from replicell.sync.errors import ProtocolError
from replicell.sync.inbound import BATCH_OVERHEAD, Inbound
from replicell.sync.jobs import Batch
from replicell.sync.messages import Ack, Changes, Heartbeat, Message, Resend, decode

EPOCH = b"e" * 16
SIZE = 100


class Receiver:
    """An inbound half whose batches are applied when the test says so."""

    def __init__(self, cursor: int = 0, transaction_bytes: int = 10_000) -> None:
        self.answers: list[Message] = []
        self.jobs: list[list[Batch]] = []
        self.half = Inbound(
            emit=self._emit, encoding="msgpack", apply=self.jobs.append, transaction_bytes=transaction_bytes
        )
        self.half.begin(cursor)

    def _emit(self, action: Action) -> None:
        assert isinstance(action, Send)
        self.answers.append(decode(action.frame))

    def get(self, since: int, until: int, *, batch: int = 0, part: int = 0, last: bool = True) -> None:
        row = Change("t", b"k", f"{until}.{part}", None, 1, 1, 0, until)
        self.half.receive(Changes(EPOCH, since, until, batch or until, part, last, [row]), SIZE)

    def applied(self) -> list[str]:
        """Commit the running job and return what was in it."""
        job = self.jobs.pop(0)
        self.half.applied()
        return [row.cid for one in job for row in one.rows]


def test_a_batch_is_applied_and_acknowledged_after_that() -> None:
    receiver = Receiver()
    receiver.get(0, 3)
    assert receiver.answers == []
    assert not receiver.half.idle

    assert receiver.applied() == ["3.0"]
    assert receiver.answers == [Ack(3)]
    assert (receiver.half.cursor, receiver.half.idle) == (3, True)


def test_batches_that_come_while_one_is_applied_are_applied_together() -> None:
    receiver = Receiver()
    for version in range(4):
        receiver.get(version, version + 1)

    assert receiver.applied() == ["1.0"]
    assert receiver.applied() == ["2.0", "3.0", "4.0"]
    assert receiver.answers == [Ack(1), Ack(4)]


def test_a_gap_is_asked_for_once_and_nothing_after_it_is_taken() -> None:
    receiver = Receiver(cursor=5)
    for version in (7, 8, 9):
        receiver.get(version, version + 1)

    assert receiver.answers == [Resend(5)]
    assert receiver.jobs == []


def test_after_something_came_a_new_gap_is_asked_for_again() -> None:
    receiver = Receiver()
    receiver.get(1, 2)
    receiver.get(0, 1)
    receiver.get(2, 3)

    assert receiver.answers == [Resend(0), Resend(1)]


def test_what_came_before_is_acknowledged_again_but_not_applied_again() -> None:
    receiver = Receiver()
    receiver.get(0, 3)
    receiver.applied()
    receiver.get(0, 3, batch=99)

    assert receiver.answers == [Ack(3), Ack(3)]
    assert receiver.jobs == []


def test_what_is_still_being_applied_is_not_acknowledged() -> None:
    receiver = Receiver()
    receiver.get(0, 3)
    receiver.get(0, 3)

    assert receiver.answers == []


def test_a_batch_that_overlaps_with_what_is_there_is_taken() -> None:
    receiver = Receiver(cursor=2)
    receiver.get(0, 5)

    assert receiver.applied() == ["5.0"]
    assert receiver.half.cursor == 5


def test_the_parts_of_a_batch_are_applied_together() -> None:
    receiver = Receiver()
    for part in range(3):
        assert receiver.jobs == []
        receiver.get(0, 9, batch=1, part=part, last=part == 2)

    assert receiver.applied() == ["9.0", "9.1", "9.2"]


def test_a_part_that_comes_twice_is_taken_once() -> None:
    receiver = Receiver()
    for part, last in ((0, False), (0, False), (1, False), (0, False), (1, False), (2, True)):
        receiver.get(0, 9, batch=1, part=part, last=last)

    assert receiver.applied() == ["9.0", "9.1", "9.2"]


@pytest.mark.parametrize("parts", [[0, 2], [1], [0, 1, 3]])
def test_a_missing_part_makes_the_batch_begin_again(parts: list[int]) -> None:
    receiver = Receiver()
    for part in parts:
        receiver.get(0, 9, batch=1, part=part, last=part == max(parts))

    assert receiver.answers == [Resend(0)]
    assert receiver.jobs == []
    assert receiver.half.backlog == 0


def test_parts_of_two_attempts_are_never_mixed() -> None:
    receiver = Receiver()
    receiver.get(0, 9, batch=1, part=0, last=False)
    receiver.get(0, 9, batch=1, part=1, last=False)
    receiver.get(0, 9, batch=2, part=2, last=True)

    assert receiver.answers == [Resend(0)]
    assert receiver.jobs == []


def test_a_transaction_too_big_to_hold_back_is_applied_in_pieces_and_the_cursor_moves_with_the_last() -> None:
    receiver = Receiver(transaction_bytes=SIZE)
    for part in range(4):
        receiver.get(0, 9, batch=1, part=part, last=part == 3)

    assert receiver.applied() == ["9.0", "9.1"]
    assert (receiver.half.cursor, receiver.answers) == (0, [])
    assert receiver.applied() == ["9.2", "9.3"]
    assert receiver.answers == [Ack(9)]


def test_nothing_is_applied_while_held_back() -> None:
    receiver = Receiver()
    receiver.half.hold(True)
    receiver.get(0, 1)
    assert receiver.jobs == []

    receiver.half.hold(False)
    assert receiver.applied() == ["1.0"]


def test_the_backlog_is_what_could_be_applied_and_is_not_yet() -> None:
    """A batch that has not come whole does not count: who stopped reading for it would wait for ever."""
    receiver = Receiver()
    receiver.get(0, 1)
    receiver.get(1, 2)
    receiver.get(2, 9, batch=7, part=0, last=False)
    assert receiver.half.backlog == 2 * (SIZE + BATCH_OVERHEAD)

    receiver.applied()
    receiver.applied()
    assert receiver.half.backlog == 0


def test_a_heartbeat_is_answered_by_how_far_it_has_come() -> None:
    receiver = Receiver()
    receiver.get(0, 3)
    receiver.half.heartbeat(Heartbeat(3))
    assert receiver.answers == []

    receiver.applied()
    receiver.half.heartbeat(Heartbeat(3))
    receiver.half.heartbeat(Heartbeat(5))
    receiver.half.heartbeat(Heartbeat(5))
    assert receiver.answers == [Ack(3), Ack(3), Resend(3), Resend(3)]


@pytest.mark.parametrize(
    ("since", "until", "part", "epoch"),
    [(-1, 1, 0, EPOCH), (3, 2, 0, EPOCH), (0, 2**53, 0, EPOCH), (0, 1, -1, EPOCH), (0, 1, 0, b"short")],
)
def test_numbers_that_make_no_sense_are_refused(since: int, until: int, part: int, epoch: bytes) -> None:
    with pytest.raises(ProtocolError, match="out of range"):
        Receiver().half.receive(Changes(epoch, since, until, 1, part, True, []), SIZE)
