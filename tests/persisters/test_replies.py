"""Who goes on from a reply does so in the turn of the event loop in which it is settled."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from replicell.persisters.replies import Reply, at_once


def new_reply() -> Reply[int]:
    return Reply(loop=asyncio.get_running_loop())


async def test_a_function_is_called_in_the_turn_in_which_the_reply_is_settled_and_only_then() -> None:
    reply, heard = new_reply(), list[int]()
    at_once(reply, lambda done: heard.append(done.result()))
    go_on = reply.settle(5, None)
    assert (reply.result(), heard) == (5, [])
    go_on()
    await asyncio.sleep(0)
    assert heard == [5]


async def test_a_function_is_called_now_if_the_reply_is_settled_already() -> None:
    reply, heard = new_reply(), list[int]()
    reply.settle(5, None)()

    at_once(reply, lambda done: heard.append(done.result()))

    assert heard == [5]


async def test_who_goes_on_does_so_in_its_own_context() -> None:
    name = ContextVar("name", default="nobody's")
    reply, heard = new_reply(), list[str]()

    def ask() -> None:
        name.set("who asked")
        at_once(reply, lambda done: heard.append(name.get()))

    copy_context().run(ask)
    reply.settle(5, None)()
    assert heard == ["who asked"]


async def test_other_callbacks_and_who_awaits_it_hear_of_it_as_ever() -> None:
    reply, heard = new_reply(), list[str]()
    reply.add_done_callback(lambda done: heard.append("later"))
    at_once(reply, lambda done: heard.append("at once"))
    asyncio.get_running_loop().call_soon(lambda: reply.settle(5, None)())
    assert await reply == 5
    assert heard == ["at once", "later"]


@pytest.mark.parametrize("is_mapped", [False, True])
async def test_who_goes_on_hears_of_a_cancellation_too(is_mapped: bool) -> None:
    reply, heard = new_reply(), list[bool]()
    outcome = reply.mapped(lambda result: result) if is_mapped else reply
    at_once(outcome, lambda done: heard.append(done.cancelled()))
    reply.cancel()
    reply.settle(5, None)()
    for _ in range(3):
        await asyncio.sleep(0)
    assert heard == [True]


async def test_what_is_made_of_a_result_is_there_in_the_same_turn() -> None:
    reply, heard = new_reply(), list[str]()
    at_once(reply.mapped(lambda result: f"made of {result}"), lambda done: heard.append(done.result()))
    reply.settle(5, None)()
    assert heard == ["made of 5"]


async def test_errors_are_passed_on() -> None:
    failed, mapped = new_reply(), new_reply()
    outcome = failed.mapped(lambda result: result + 1)
    failed.settle(None, ValueError("a reason"))()
    with pytest.raises(ValueError, match="a reason"):
        await outcome
    outcome = mapped.mapped(lambda result: 1 // result)
    mapped.settle(0, None)()
    with pytest.raises(ZeroDivisionError):
        await outcome


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit])
async def test_whatever_ends_a_reply_ends_what_is_made_of_it(error: type[BaseException]) -> None:
    reply = new_reply()
    outcome = reply.mapped(lambda result: result + 1)
    reply.settle(None, error())()
    assert outcome.done()
    assert outcome.cancelled() or isinstance(outcome.exception(), error)


async def test_a_generators_end_is_no_error_that_a_future_takes() -> None:
    reply = new_reply()
    reply.settle(None, StopIteration())()
    with pytest.raises(RuntimeError, match="StopIteration"):
        await reply


async def test_other_futures_have_their_callbacks_in_the_next_turn() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    heard: list[int] = []
    at_once(future, lambda done: heard.append(done.result()))
    future.set_result(5)
    assert heard == []
    await asyncio.sleep(0)
    assert heard == [5]
