"""Which server a client tries next, and when."""

from __future__ import annotations

from replicell.sync.backoff import Backoff
from replicell.sync.endings import Ending, ending_of_connection
from replicell.sync.messages import ProblemCode
from replicell.sync.rounds import Rest, Rounds

LOST = Ending("lost")
NAMES = ("one", "two", "three")


def rounds_of(count: int) -> Rounds:
    urls = [f"ws://{name}:8040/room?token=secret" for name in NAMES[:count]]
    return Rounds(urls, Backoff(initial=1.0, maximum=8.0, refused=60.0, random=lambda: 1.0))


def name(rounds: Rounds) -> str:
    return rounds.url.removeprefix("ws://").partition(":")[0]


def lose(rounds: Rounds, end: Ending = LOST, held: float = 0.0) -> Rest | None:
    return rounds.ended(end, held=held, renewable=False)


def refusal(code: ProblemCode) -> Ending:
    return Ending("refused", code)


def test_with_one_server_there_is_a_longer_and_longer_rest_after_each_failure() -> None:
    rounds = rounds_of(1)

    rests = [lose(rounds) for _ in range(5)]

    assert [rest and rest.seconds for rest in rests] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert name(rounds) == "one"


def test_each_server_is_tried_once_before_a_rest() -> None:
    rounds = rounds_of(3)
    tried = []
    rests = []
    for _ in range(7):
        tried.append(name(rounds))
        rest = lose(rounds)
        rests.append(rest and rest.seconds)

    assert tried == ["one", "two", "three", "one", "two", "three", "one"]
    assert rests == [None, None, 1.0, None, None, 2.0, None]


def test_after_a_connection_that_lasted_all_servers_are_tried_before_a_short_rest() -> None:
    rounds = rounds_of(2)
    for _ in range(7):
        lose(rounds)
    assert name(rounds) == "two"

    assert lose(rounds, held=60.0) is None
    assert name(rounds) == "one"
    rest = lose(rounds)
    assert rest is not None and rest.seconds == 1.0


def test_connections_that_are_lost_at_once_are_no_reason_for_haste() -> None:
    rounds = rounds_of(2)

    rests = [lose(rounds, held=0.5) for _ in range(6)]

    assert [rest and rest.seconds for rest in rests] == [None, 1.0, None, 2.0, None, 4.0]


def test_the_server_that_may_be_had_soonest_says_how_long_the_rest_is() -> None:
    rounds = rounds_of(3)
    lose(rounds, refusal("unauthorized"))
    lose(rounds, Ending("crowded", rest=5.0))

    rest = lose(rounds, refusal("protocol"))

    assert rest == Rest(Ending("two:8040: crowded", rest=5.0), 6.0)


def test_only_if_all_servers_refuse_a_client_it_is_refused() -> None:
    rounds = rounds_of(2)
    lose(rounds, refusal("unauthorized"))

    rest = lose(rounds, refusal("forbidden"))

    assert rest == Rest(Ending("one:8040: refused", "unauthorized"), None)


def test_what_no_other_server_would_mend_does_not_lead_to_another_one() -> None:
    for code in (4407, 4409, 4419):
        rounds = rounds_of(2)
        assert lose(rounds, ending_of_connection(code, "why")) is not None
        assert name(rounds) == "one"


def test_why_the_last_one_was_left_is_told_without_what_is_secret() -> None:
    rounds = rounds_of(2)
    assert rounds.last_failure == ""

    lose(rounds)

    assert rounds.last_failure == "one:8040: lost"
