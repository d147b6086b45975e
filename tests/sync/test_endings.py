"""When a client tries again, by how its connection ended."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from replicell.sync.backoff import Backoff
from replicell.sync.endings import ending_of_connection, ending_of_request, seconds_to_rest

BACKOFF = Backoff(initial=1.0, maximum=8.0, refused=60.0, random=lambda: 1.0)


def after_status(status: int, *, renewable: bool = False, retry_after: str | None = None) -> float | None:
    headers = Headers() if retry_after is None else Headers({"Retry-After": retry_after})
    response = Response(status, "", headers, b"why")
    return seconds_to_rest(ending_of_request(response), 2, BACKOFF, renewable=renewable)


def after_code(code: int | None, *, renewable: bool = False) -> float | None:
    return seconds_to_rest(ending_of_connection(code, "why"), 2, BACKOFF, renewable=renewable)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refusals_that_time_does_not_cure_are_not_tried_again(status: int) -> None:
    assert after_status(status) is None


@pytest.mark.parametrize("code", [4401, 4403, 4419])
def test_so_it_is_after_the_upgrade(code: int) -> None:
    assert after_code(code) is None


def test_with_another_token_there_is_another_try() -> None:
    assert [after_status(status, renewable=True) for status in (400, 401, 403)] == [None, 60.0, 60.0]
    assert [after_code(code, renewable=True) for code in (4401, 4403, 4419)] == [60.0, 60.0, 4.0]


def test_what_may_be_mended_elsewhere_is_tried_again_now_and_then() -> None:
    assert after_status(404) == after_code(4400) == after_code(4422) == 60.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "rest"),
    [
        (None, 5.0),
        ("30", 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 5.0),
        ("1000000000", 300.0),
        ("-3", 0.0),
        ("nan", 5.0),
    ],
)
def test_a_crowded_server_is_asked_again_when_it_says_so(status: int, told: str | None, rest: float) -> None:
    assert after_status(status, retry_after=told) == rest + 4.0


def test_after_too_many_rooms_it_waits_as_for_a_crowded_server() -> None:
    assert after_code(4429) == 9.0


@pytest.mark.parametrize("code", [None, 1006, 1009, 1011, 1012, 4408, 4409])
def test_after_everything_else_it_backs_off(code: int | None) -> None:
    assert after_code(code) == 4.0


def test_an_idle_client_comes_back_for_its_own_changes() -> None:
    ending = ending_of_connection(4407, "why")
    assert ending.until_changes
    assert after_code(4407) == 60.0
