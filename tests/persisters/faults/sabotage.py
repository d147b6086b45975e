"""Persisters that are broken on purpose: what finds no fault with them would prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from replicell.persisters import Persister, files, reconciling

__all__ = ["SABOTAGES", "sabotaged"]


def _forget_failed_saves(stack: ExitStack) -> None:
    stack.enter_context(
        patch("replicell.persisters.tracking.ChangeTracker.put_back", lambda self, unsaved: None)
    )


def _load_over_unsaved_cells(stack: ExitStack) -> None:
    reconcile = reconciling.reconcile

    def careless(store: Any, content: Any, unsaved: Any, *args: Any) -> Any:
        return reconcile(store, content, (), *args)

    stack.enter_context(patch("replicell.persisters.tracking.reconcile", careless))


def _say_too_early_that_all_is_saved(stack: ExitStack) -> None:
    async def flush(self: Persister) -> Persister:
        return self

    stack.enter_context(patch.object(Persister, "flush", flush))


def _write_tables_in_transactions_of_their_own(stack: ExitStack) -> None:
    stack.enter_context(
        patch("replicell.persisters.sqlite.persister.transaction", lambda connection: nullcontext())
    )


def _write_over_the_file(stack: ExitStack) -> None:
    def replace_text(path: Path, text: str, announce: Callable[[Any], None]) -> None:
        with path.open("w") as file:
            vars(files)["os"].fsync(file.fileno())
            file.write(text)
        announce(files.signature(path))

    stack.enter_context(patch("replicell.persisters.json_file.replace_text", replace_text))


def _miss_what_others_write(stack: ExitStack) -> None:
    stack.enter_context(
        patch("replicell.persisters.operations.Operations._on_medium_change", lambda self: None)
    )


SABOTAGES: dict[str, tuple[str, Callable[[ExitStack], None]]] = {
    "failed saves are forgotten": ("sqlite tabular", _forget_failed_saves),
    "loads go over unsaved cells": ("cr-sqlite tabular", _load_over_unsaved_cells),
    "flush does not wait": ("custom tabular", _say_too_early_that_all_is_saved),
    "tables are committed one by one": ("sqlite tabular", _write_tables_in_transactions_of_their_own),
    "the file is written in place": ("json file", _write_over_the_file),
    "others' writes are not heard": ("sqlite json", _miss_what_others_write),
}
"""By what is wrong: a medium in which it shows, and how to do it."""


@contextmanager
def sabotaged(name: str | None) -> Iterator[None]:
    """Break something for a while; nothing if there is no name."""
    with ExitStack() as stack:
        if name is not None:
            SABOTAGES[name][1](stack)
        yield
