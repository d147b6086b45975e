"""Every error that the store raises on purpose.

::

    ReplicellError
    └── StoreError
        ├── ArgumentError (TypeError)          any store: an argument that can mean nothing
        ├── InvalidWriteError (ValueError)     strict stores: content that may not be stored
        │   ├── InvalidCellError
        │   └── InvalidValueError
        ├── SchemaError (ValueError)           strict stores: a schema entry that means nothing
        ├── SchemaDataLossError (ValueError)   strict stores: a schema under which data would go
        ├── RestrictedError                    any store: a deleted row that others still refer to
        ├── UnsettledError                     any store: computed cells that never come to rest
        ├── DefinitionError (ValueError)       any store: an index, relationship, ... that cannot be
        ├── EditError (ValueError)             an edit in a notebook's page that cannot be stored
        ├── ModelError (TypeError)             a model of which no schema can be made
        ├── AbsentError (KeyError)             a mapping view: a key that is not there
        ├── UnreadableRowError (ValueError)    a typed table: a row that the model cannot have
        ├── FrameError (ValueError)            a table that no data frame can hold, or the other way round
        ├── MissingPackageError (ImportError)  an optional package that something needs
        ├── NoEventLoopError (RuntimeError)    a coroutine function that listens, without an event loop
        ├── WatchOverflowError                 a watch that is read too slowly, with overflow="error"
        ├── WaitTimeoutError (TimeoutError)    what was waited for did not happen in time
        ├── WriteForbiddenError                strict stores: a write inside a listener that may only read
        └── WrongThreadError                   any store: used by a thread that does not own it
"""

from __future__ import annotations

from typing import NamedTuple

from replicell.errors import ReplicellError
from replicell.store.missing import MISSING, MissingType

__all__ = [
    "AbsentError",
    "ArgumentError",
    "DefinitionError",
    "EditError",
    "FrameError",
    "InvalidCellError",
    "InvalidValueError",
    "InvalidWriteError",
    "MissingPackageError",
    "ModelError",
    "NoEventLoopError",
    "RestrictedError",
    "SchemaDataLossError",
    "SchemaError",
    "SchemaLoss",
    "StoreError",
    "UnreadableRowError",
    "UnsettledError",
    "WaitTimeoutError",
    "WatchOverflowError",
    "WriteForbiddenError",
    "WrongThreadError",
]


class StoreError(ReplicellError):
    """Base of the errors of `replicell.store`."""


class ArgumentError(StoreError, TypeError):
    """A method was given an argument that can mean nothing; nothing was changed."""


class InvalidWriteError(StoreError, ValueError):
    """A strict store was given something it cannot hold; nothing was changed.

    Attributes:
        where: What was written to, in words.
        value: What was offered, or `MISSING` where something required was absent.
        rule: The rule it breaks, in words.
    """

    def __init__(self, where: str, value: object, rule: str) -> None:
        self.where = where
        self.value = value
        self.rule = rule
        offered = "nothing was given" if value is MISSING else f"{_shortened(value)} was given"
        super().__init__(
            f"{where}: {rule}, but {offered}. Nothing was changed. "
            "Correct what is written, or widen the schema if it should be allowed."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.where, self.value, self.rule)


class InvalidCellError(InvalidWriteError):
    """A strict store, or a typed table, was given an invalid table, row or cell.

    Attributes:
        table_id: The table, or `MISSING` if the tables as a whole were wrong.
        row_id: The row, or `MISSING` if the table as a whole was wrong or the row had no id yet.
        cell_id: The cell, or `MISSING` if the row as a whole was wrong.
    """

    def __init__(
        self,
        table_id: str | MissingType,
        row_id: str | MissingType,
        cell_id: str | MissingType,
        value: object,
        rule: str,
    ) -> None:
        self.table_id = table_id
        self.row_id = row_id
        self.cell_id = cell_id
        parts = (("table", table_id), ("row", row_id), ("cell", cell_id))
        where = ", ".join(f"{name} {part!r}" for name, part in parts if part is not MISSING)
        super().__init__(where or "tables", value, rule)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.table_id, self.row_id, self.cell_id, self.value, self.rule)


class InvalidValueError(InvalidWriteError):
    """A strict store was given an invalid keyed value.

    Attributes:
        value_id: The value's id, or `MISSING` if the values as a whole were wrong.
    """

    def __init__(self, value_id: str | MissingType, value: object, rule: str) -> None:
        self.value_id = value_id
        super().__init__("values" if value_id is MISSING else f"value {value_id!r}", value, rule)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.value_id, self.value, self.rule)


class SchemaError(StoreError, ValueError):
    """A strict store was given a schema with an entry it would have to ignore or alter."""


class SchemaLoss(NamedTuple):
    """One thing that a schema change would drop or replace.

    Attributes:
        path: ``(table_id, row_id, cell_id)`` or ``(value_id,)``.
        value: What is stored there now.
        replacement: What would stand there instead, or `MISSING` if nothing would.
        rule: The rule that the present value breaks.
    """

    path: tuple[str, ...]
    value: object
    replacement: object
    rule: str


class SchemaDataLossError(StoreError, ValueError):
    """A schema change on a strict store would drop or replace data; nothing was changed.

    Attributes:
        losses: Everything that would go, in the order of the store.
    """

    def __init__(self, losses: list[SchemaLoss]) -> None:
        self.losses = losses
        shown = "; ".join(
            f"{'/'.join(loss.path)} = {_shortened(loss.value)} ({loss.rule})" for loss in losses[:5]
        )
        more = f"; and {len(losses) - 5} more" if len(losses) > 5 else ""
        super().__init__(
            f"this schema would drop or replace {len(losses)} stored item(s): {shown}{more}. Nothing was "
            "changed. Migrate the data first, or pass discard=True to let it go."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.losses,)


class WriteForbiddenError(StoreError):
    """A strict store was written to inside a listener that may only read.

    Normal and did-finish listeners see a finished transaction. Write from a mutator listener
    (``mutator=True``), a will-finish listener, or after the transaction.
    """

    @classmethod
    def in_listener(cls) -> WriteForbiddenError:
        """Return the error for a write in such a listener."""
        return cls(
            "a normal or did-finish listener wrote to the store, which it may only read. Write from a "
            "listener added with mutator=True, from a will-finish listener, or afterwards."
        )


class DefinitionError(StoreError, ValueError):
    """A definition of something derived from a store contradicts itself; nothing was changed."""


class EditError(StoreError, ValueError):
    """What was typed into a notebook's page cannot be stored; the page shows the message."""


class RestrictedError(StoreError):
    """A row was deleted to which others refer through a relationship with ``on_delete="restrict"``.

    The transaction was undone.

    Attributes:
        relationship_id: The relationship.
        remote_row_id: The row that was to be deleted.
        local_row_ids: The rows that refer to it.
    """

    def __init__(self, relationship_id: str, remote_row_id: str, local_row_ids: list[str]) -> None:
        self.relationship_id = relationship_id
        self.remote_row_id = remote_row_id
        self.local_row_ids = local_row_ids
        shown = ", ".join(map(repr, local_row_ids[:5])) + (", ..." if len(local_row_ids) > 5 else "")
        super().__init__(
            f"row {remote_row_id!r} cannot be deleted: relationship {relationship_id!r} restricts it, as "
            f"{len(local_row_ids)} row(s) refer to it: {shown}. The transaction was undone. Delete or change "
            "those rows in the same transaction."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.relationship_id, self.remote_row_id, self.local_row_ids)


class UnsettledError(StoreError):
    """Computed cells or referential actions went on writing without end; the transaction was undone."""


class ModelError(StoreError, TypeError):
    """No schema can say what a model says; the message names the field."""


class AbsentError(StoreError, KeyError):
    """A mapping view was asked for what is not there."""

    def __str__(self) -> str:
        # A KeyError would show the message in quotes.
        return str(self.args[0])


class UnreadableRowError(StoreError, ValueError):
    """There is something in a row that a typed table's model cannot have.

    Attributes:
        model: The name of the model.
        table_id: The table.
        row_id: The row.
        cell_id: The cell, or `MISSING` if the model objects to the row as a whole.
        value: What is there, decoded, or `MISSING` if the cell is absent.
        rule: The rule it breaks, in words.
    """

    def __init__(
        self, model: str, table_id: str, row_id: str, cell_id: str | MissingType, value: object, rule: str
    ) -> None:
        self.model = model
        self.table_id = table_id
        self.row_id = row_id
        self.cell_id = cell_id
        self.value = value
        self.rule = rule
        where = f"table {table_id!r}, row {row_id!r}" + ("" if cell_id is MISSING else f", cell {cell_id!r}")
        found = "is absent" if value is MISSING else f"is {_shortened(value)}"
        super().__init__(
            f"{where} {found}, of which no {model} can be made: {rule}. Read it with store.get_row and "
            "correct it, or widen the model."
        )

    def __reduce__(self) -> tuple[object, ...]:
        arguments = (self.model, self.table_id, self.row_id, self.cell_id, self.value, self.rule)
        return type(self), arguments


class FrameError(StoreError, ValueError):
    """A data frame holds what no table can hold, or a table what no data frame can; nothing was changed."""


class NoEventLoopError(StoreError, RuntimeError):
    """A coroutine function listens, and the store was written to where no event loop runs.

    The data is committed, but the coroutine function was not called.
    """


class WatchOverflowError(StoreError):
    """Changes came faster to a watch with ``overflow="error"`` than they were read; it is closed."""


class WaitTimeoutError(StoreError, TimeoutError):
    """What `Store.wait_for` waited for did not happen in time."""


class MissingPackageError(StoreError, ImportError):
    """Something needs an optional package that is not installed.

    Attributes:
        needed_by: What needs it.
        package: The package.
        extra: The extra of replicell that installs it, or None if there is none.
    """

    def __init__(self, needed_by: str, package: str, extra: str | None) -> None:
        self.needed_by = needed_by
        self.package = package
        self.extra = extra
        super().__init__(
            f"{needed_by} need {package}, which is not installed. Install it with: "
            + (f"pip install {package}" if extra is None else f'pip install "replicell[{extra}]"')
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.needed_by, self.package, self.extra)


class WrongThreadError(StoreError):
    """A store was used by a thread that does not own it."""


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
