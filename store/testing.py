"""Helpers for tests of programs that use a store: a recorder of calls, a clock to be wound, a filled store.

Nothing in a program needs them, and they need no test framework.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeAlias

from replicell.store.content_types import TablesLike, ValuesLike
from replicell.store.errors import ArgumentError
from replicell.store.ids import Id
from replicell.store.store import Store

__all__ = ["Call", "FakeClock", "Recorder", "store_of"]

_NEEDING_IDS = ("sorted_row_ids", "result_sorted_row_ids", "linked_row_ids")

Call: TypeAlias = tuple[Any, ...]
"""The name of a listener, and what it was called with after the object that called it."""


class Recorder:
    """Makes listeners that write down how they are called.

    Of each call it keeps the listener's name and its arguments without the first, which is the store or
    whatever is listened to. Functions that tell which ids came and went are called and replaced by what they
    say; those that answer for any cell or value are left out, as a record cannot hold all they know.

    >>> store, recorder = Store(), Recorder()
    >>> _ = store.add_cell_listener("pets", None, None, recorder.named("cell"))
    >>> _ = store.add_row_ids_listener("pets", recorder.named("row_ids"))
    >>> _ = store.set_cell("pets", "fido", "age", 3)
    >>> recorder.taken()
    [('row_ids', 'pets', {'fido': 1}), ('cell', 'pets', 'fido', 'age', 3, MISSING)]
    >>> recorder.taken()
    []
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """The calls since they were last taken."""

    def named(self, name: str) -> Callable[..., None]:
        """Return a listener whose calls are written down under a name."""

        def listener(owner: object, *arguments: Any) -> None:
            told = [_told(argument) for argument in arguments]
            self.calls.append((name, *[argument for argument in told if not callable(argument)]))

        return listener

    def listen_to(self, owner: Any, *kinds: str, mutator: bool = False) -> list[Id]:
        """Listen with wildcards to a store, or to something derived from one, and return the listeners' ids.

        Args:
            owner: The store, indexes, metrics, ... to listen to.
            kinds: The kinds of listeners, such as ``"cell"`` or ``"slice_ids"``, under which their calls are
                written down; without any, all kinds that can listen to everything.
            mutator: Whether they are mutators; only a store has any.

        Raises:
            ArgumentError: If there is no such kind, or one that needs to be told what to listen to.

        >>> store, recorder = Store(), Recorder()
        >>> _ = recorder.listen_to(store)
        >>> _ = store.set_value("open", True)
        >>> for call in recorder.taken():
        ...     print(*call)
        start_transaction
        will_finish_transaction
        has_values True
        value_ids {'open': 1}
        has_value open True
        value open True MISSING
        values
        did_finish_transaction
        """
        found = _kinds_of(owner)
        unknown = [kind for kind in kinds if kind not in found]
        if unknown:
            raise ArgumentError(f"cannot listen to all of {unknown[0]!r}; there are {', '.join(found)}")
        return [self._listen(owner, kind, mutator) for kind in kinds or found]

    def taken(self) -> list[Call]:
        """Return the calls since they were last taken."""
        calls, self.calls = self.calls, []
        return calls

    def _listen(self, owner: Any, kind: str, mutator: bool) -> Id:
        add = getattr(owner, f"add_{kind}_listener")
        arguments: list[Any] = [None] * _places(add)
        arguments.append(self.named(kind))
        if mutator and "mutator" in signature(add).parameters:
            arguments.append(True)
        listener_id: Id = add(*arguments)
        return listener_id


class FakeClock:
    """A clock that stands still until it is wound.

    >>> clock = FakeClock(1000)
    >>> clock.advance(0.5)
    >>> clock(), clock.milliseconds()
    (1000.5, 1000500)
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        """Seconds since whenever, as `time.time` gives them."""

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now

    def milliseconds(self) -> int:
        """Tell the time in milliseconds."""
        return round(self.now * 1000)

    def advance(self, seconds: float) -> None:
        """Wind the clock.

        Raises:
            ArgumentError: If that would turn it back; set `now` for that.
        """
        if seconds < 0:
            raise ArgumentError(
                f"a clock goes forward, but advance({seconds}) was asked; set clock.now instead"
            )
        self.now += seconds


def store_of(
    tables: TablesLike | None = None, values: ValuesLike | None = None, *, strict: bool = True
) -> Store:
    """Return a store that holds some content, and says so if it cannot.

    Args:
        tables: Its tables.
        values: Its values.
        strict: Whether the store raises errors for what is invalid, then and later.

    Raises:
        InvalidWriteError: If something of it cannot be stored.

    >>> store_of({"pets": {"fido": {"age": 3}}}, {"open": True}).get_content()
    ({'pets': {'fido': {'age': 3}}}, {'open': True})
    """
    store = Store(strict=strict)
    if tables:
        store.set_tables(tables)
    if values:
        store.set_values(values)
    return store


def _kinds_of(owner: Any) -> list[str]:
    """List the kinds of listeners that can listen to everything, in alphabetical order."""
    names = [name for name in dir(owner) if name.startswith("add_") and name.endswith("_listener")]
    kinds = [name.removeprefix("add_").removesuffix("_listener") for name in names]
    return [kind for kind in kinds if kind not in _NEEDING_IDS]


def _places(add: Callable[..., object]) -> int:
    """Count the ids that come before the listener."""
    return list(signature(add).parameters).index("listener")


def _told(argument: Any) -> Any:
    return argument() if callable(argument) and not _takes_arguments(argument) else argument


def _takes_arguments(function: Callable[..., object]) -> bool:
    try:
        return bool(signature(function).parameters)
    except ValueError:
        # What tells of ids that came and went is built in, and takes none.
        return False
