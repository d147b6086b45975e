"""The fuzzed targets hold for seeds and for what is close to them; `make fuzz` looks further."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.rules import Sifted
from tests.fuzz import targets
from tests.fuzz.targets import SEPARATOR, TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_all_is_well_with_every_seed(name: str) -> None:
    for seed in seeds():
        TARGETS[name](seed)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Some seeds' frames one after the other, with a few bytes changed, lost or put in."""
    data = bytearray(SEPARATOR.join(draw(st.lists(st.sampled_from(seeds()), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_all_is_well_with_damaged_seeds(name: str) -> None:
    @settings(
        max_examples=60 if name == "session" else 200,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(damaged())
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


def test_a_target_notices_what_the_rules_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def let_all_through(_conn: object, _catalog: object, changes: list[Change], **_: object) -> Sifted:
        return Sifted([*changes, *changes], [], [])

    monkeypatch.setattr(targets, "sift_changes", let_all_through)
    with pytest.raises(AssertionError):
        targets.fuzz_changes(seeds()[0])


def test_a_target_notices_a_decoder_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_: bytes | str) -> None:
        raise IndexError("no byte left")

    monkeypatch.setattr(targets, "decode", break_down)
    with pytest.raises(IndexError):
        targets.fuzz_frame(b"")
