"""Lines of the log: whose connection they are about, and that no token is in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from replicell.sync.log_records import LogFormat, log_handler, tag_connection


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("replicell.test_log_records")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logger.propagate = True


def listen(logger: logging.Logger, log_format: LogFormat) -> io.StringIO:
    handler = log_handler(log_format)
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    logger.addHandler(handler)
    return stream


async def test_each_connections_lines_bear_its_own_tag(logger: logging.Logger) -> None:
    stream = listen(logger, "json")

    async def serve(room: str, identity: str, site_id: bytes) -> None:
        tag_connection(room, identity, lambda: site_id)
        await asyncio.sleep(0)
        logger.info("served")
        asyncio.get_running_loop().call_soon(logger.info, "later")
        await asyncio.sleep(0)

    await asyncio.gather(serve("a", "anna", b"\x01\x02"), serve("b", "", b""))
    logger.info("nobody's")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    by_room = {room: [line for line in lines if line.get("room") == room] for room in ("a", "b", None)}
    assert [line["message"] for line in by_room["a"]] == ["served", "later"]
    assert {(line["identity"], line["site_id"]) for line in by_room["a"]} == {("anna", "0102")}
    assert all("identity" not in line and "site_id" not in line for line in by_room["b"])
    assert len({line["connection"] for line in (*by_room["a"], *by_room["b"])}) == 2
    assert [line["message"] for line in by_room[None]] == ["nobody's"]


def test_an_exception_stays_in_its_line(logger: logging.Logger) -> None:
    stream = listen(logger, "json")
    try:
        raise KeyError("what")
    except KeyError:
        logger.exception("it %s", "failed")

    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line["message"] == "it failed"
    assert "KeyError: 'what'" in line["exception"]
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "GET /room?token=s3cret HTTP/1.1",
        "GET /room?a=b&token=s3cret&c=d",
        "Authorization: Bearer s3cret",
        "authorization: bearer   s3cret",
        "Hello(token='s3cret')",
        '{"token": "s3cret"}',
    ],
)
def test_what_looks_like_a_token_is_blotted_out(
    logger: logging.Logger, log_format: LogFormat, text: str
) -> None:
    stream = listen(logger, log_format)

    logger.info("%s", text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("failed")

    assert "s3cret" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_ordinary_words_stay(logger: logging.Logger) -> None:
    stream = listen(logger, "text")

    logger.info("the token has run out: connect with a new one")

    assert "the token has run out: connect with a new one" in stream.getvalue()
