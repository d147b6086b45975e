from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replicell.store.module_listeners import ModuleListeners


def noting(calls: list[Any], name: str) -> Callable[..., None]:
    return lambda owner, *arguments: calls.append((name, *arguments))


def test_exact_ids_are_called_before_wildcards_the_leftmost_first() -> None:
    calls: list[Any] = []
    listeners = ModuleListeners("owner", "kind")
    for path in ((None, None), (None, "b"), ("a", None), ("a", "b"), ("x", "b")):
        listeners.add("kind", path, noting(calls, f"{path}"))
    listeners.call("kind", ("a", "b"), 1)
    assert [name for name, *_ in calls] == ["('a', 'b')", "('a', None)", "(None, 'b')", "(None, None)"]
    assert {arguments for _, *rest in calls for arguments in [tuple(rest)]} == {("a", "b", 1)}


def test_callbacks_get_the_owner_first() -> None:
    owner = object()
    listeners = ModuleListeners(owner, "kind")
    seen: list[object] = []
    listeners.add("kind", (), seen.append)
    listeners.call("kind")
    assert seen == [owner]


def test_ids_are_strings_and_released_ones_are_used_again_oldest_first() -> None:
    listeners = ModuleListeners(None, "kind", "other")
    assert [listeners.add("kind", (1,), print) for _ in range(3)] == ["0", "1", "2"]
    assert listeners.remove("1") == ("kind", ("1",))
    assert listeners.remove("0") == ("kind", ("1",))
    assert listeners.remove("no such") is None
    assert [listeners.add("other", (), print) for _ in range(3)] == ["1", "0", "3"]
    assert (listeners.count("kind"), listeners.count("other")) == (1, 3)


def test_a_listener_added_to_the_bucket_being_called_is_called_and_a_removed_one_is_not() -> None:
    calls: list[str] = []
    listeners = ModuleListeners(None, "kind")

    def first(owner: object) -> None:
        calls.append("first")
        if len(calls) == 1:
            listeners.remove(second_id)
            listeners.add("kind", (), lambda owner: calls.append("third"))

    listeners.add("kind", (), first)
    second_id = listeners.add("kind", (), lambda owner: calls.append("second"))
    listeners.call("kind")
    assert calls == ["first", "third"]
    listeners.call("kind")
    assert calls == ["first", "third", "first", "third"]


def test_an_error_says_whose_it_is_and_stops_the_rest() -> None:
    calls: list[str] = []
    listeners = ModuleListeners(None, "kind")

    def failing(owner: object, thing_id: str) -> None:
        raise RuntimeError("failed")

    listeners.add("kind", ("a",), failing)
    listeners.add("kind", (None,), noting(calls, "after"))
    with pytest.raises(RuntimeError, match="failed") as raised:
        listeners.call("kind", ("a",))
    assert "kind listener '0'" in raised.value.__notes__[0]
    assert calls == []


def test_only_what_can_be_called_can_listen() -> None:
    with pytest.raises(TypeError, match="must be callable"):
        ModuleListeners(None, "kind").add("kind", (), "a")  # type: ignore[arg-type]  # what is refused
