"""Streams that are there already: which of them would keep what rooms give them."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.sync.backplane.interface import UnfitStreamError
from replicell.sync.backplane.jetstream_streams import check_fit, log_stream, snapshots_stream

BIGGEST = 1_000_000
AS_NATS_TELLS: dict[str, Any] = {
    "max_consumers": -1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "compression": "none",
    "sealed": False,
    "deny_delete": False,
    "allow_rollup_hdrs": False,
}


def found(**differing: Any) -> dict[str, Any]:
    return {**AS_NATS_TELLS, **log_stream("rooms", 3), **differing}


@pytest.mark.parametrize(
    "differing",
    [
        {},
        {"num_replicas": 5},
        {"duplicate_window": 600 * 10**9},
        {"subjects": ["rooms.log.>", "more.>"]},
        {"max_msgs": 10, "max_bytes": 10**9},
        {"max_msg_size": BIGGEST},
        {"republish": {"src": "rooms.log.>", "dest": "rooms.live.>", "headers_only": False}},
        {"persist_mode": "default", "sources": None},
    ],
)
def test_a_stream_that_keeps_everything_is_taken_as_it_is(differing: dict[str, Any]) -> None:
    check_fit(log_stream("rooms", 3), found(**differing), BIGGEST)


@pytest.mark.parametrize(
    ("differing", "named"),
    [
        ({"num_replicas": 1}, "num_replicas is 1, not 3 or more"),
        ({"storage": "memory"}, "storage is 'memory', not 'file'"),
        ({"retention": "workqueue"}, "retention is 'workqueue', not 'limits'"),
        ({"discard": "old"}, "discard is 'old', not 'new'"),
        ({"allow_direct": False}, "allow_direct is False, not True"),
        ({"subjects": ["rooms.>"]}, "subjects is"),
        ({"republish": None}, "republish is missing"),
        ({"republish": {"src": "rooms.log.>", "dest": "elsewhere.>"}}, "republish is"),
        (
            {"republish": {"src": "rooms.log.>", "dest": "rooms.live.>", "headers_only": True}},
            "republish is",
        ),
        ({"duplicate_window": 10**9}, "duplicate_window is 1000000000, not 120000000000 or more"),
        ({"max_age": 3600 * 10**9}, "max_age is 3600000000000, not unlimited"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject is 1, not unlimited"),
        ({"max_msg_size": 1000}, "max_msg_size is 1000, not 1000000 or more"),
        ({"no_ack": True}, "no_ack is set"),
        ({"sources": [{"name": "other"}]}, "sources is set"),
        ({"persist_mode": "async"}, "persist_mode is 'async'"),
    ],
)
def test_a_stream_that_would_lose_something_is_refused_by_name(differing: dict[str, Any], named: str) -> None:
    with pytest.raises(UnfitStreamError, match="stream 'rooms' is there") as caught:
        check_fit(log_stream("rooms", 3), found(**differing), BIGGEST)
    assert named in str(caught.value)
    assert "nats stream edit rooms" in str(caught.value)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(UnfitStreamError, match=r"num_replicas is 1.*; discard is 'old'"):
        check_fit(log_stream("rooms", 3), found(num_replicas=1, discard="old"), BIGGEST)


def test_a_node_that_wants_one_copy_takes_three() -> None:
    check_fit(log_stream("rooms", 1), found(), BIGGEST)


def test_the_snapshots_are_not_republished() -> None:
    check_fit(snapshots_stream("rooms", 3), {**AS_NATS_TELLS, **snapshots_stream("rooms", 3)}, BIGGEST)
    assert "republish" not in snapshots_stream("rooms", 3)
