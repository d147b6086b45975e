"""The errors of the persisters' layer.

They hang below the one root that all of replicell shares::

    ReplicellError
    └── PersisterError
        ├── ConfigError                     a persister's configuration that cannot be followed
        ├── PersisterClosedError            a persister was used after it was closed
        ├── ContentFormatError              a JSON text that is not the content of a store
        ├── FileAccessError                 a file that cannot be read or written
        ├── RemoteDocumentError             a web address that cannot be read or written
        ├── MissingPackageError             an optional package is needed and not installed
        ├── UnstorableCellError             a cell of the store that the medium cannot hold
        ├── UnreadableCellError             something in the medium that no cell can be
        ├── DatabaseError                   the database
        │   ├── DatabaseClosedError         it is not open
        │   ├── WrongThreadError            it is used from another thread than its event loop's
        │   ├── DatabaseBusyError           somebody else holds its lock
        │   ├── DatabaseFullError           no room left
        │   ├── DatabaseReadOnlyError       it may not be written
        │   ├── DatabaseDamagedError        not a database, an encrypted or a corrupt one
        │   ├── DatabaseTooNewError         written by a newer version
        │   ├── DatabaseInputOutputError    the disk or the file system failed
        │   ├── IdentifierError             a table or column name that cr-sqlite cannot take
        │   ├── MigrationError              a step from one version of a program to the next
        │   └── SchemaError                 a table that is not as it must be
        └── ExtensionError                  the cr-sqlite extension
            ├── ExtensionOptionsError       options of the installer that exclude each other
            ├── ExtensionNotFoundError      no extension where it was looked for
            │   └── ExtensionDamagedError   one is there, but not as it was installed
            ├── ExtensionCheckError         a library that does not do what cr-sqlite does
            ├── ReleaseUnavailableError     the prebuilt release cannot be had here
            ├── ReleaseRefusedError         the prebuilt release came, but is not what was promised
            └── SourceBuildError            the build from source failed
                └── ToolMissingError        a tool the build needs is not on this machine
"""

from __future__ import annotations

from replicell.errors import ReplicellError

__all__ = [
    "ConfigError",
    "ContentFormatError",
    "DatabaseBusyError",
    "DatabaseClosedError",
    "DatabaseDamagedError",
    "DatabaseError",
    "DatabaseFullError",
    "DatabaseInputOutputError",
    "DatabaseReadOnlyError",
    "DatabaseTooNewError",
    "ExtensionCheckError",
    "ExtensionDamagedError",
    "ExtensionError",
    "ExtensionNotFoundError",
    "ExtensionOptionsError",
    "FileAccessError",
    "IdentifierError",
    "MigrationError",
    "MissingPackageError",
    "PersisterClosedError",
    "PersisterError",
    "ReleaseRefusedError",
    "ReleaseUnavailableError",
    "RemoteDocumentError",
    "SchemaError",
    "SourceBuildError",
    "ToolMissingError",
    "UnreadableCellError",
    "UnstorableCellError",
    "WrongThreadError",
]


class PersisterError(ReplicellError):
    """Base of all errors raised by replicell.persisters."""


class ConfigError(PersisterError, ValueError):
    """A configuration or an option cannot be followed; the message names it and what is allowed."""


class ContentFormatError(PersisterError, ValueError):
    """A JSON text is not the content of a store; it is left as it is, and nothing is written over it."""


class FileAccessError(PersisterError, OSError):
    """A file cannot be read or written; it is as it was."""


class RemoteDocumentError(PersisterError, OSError):
    """A document at a web address cannot be read or written; what was to be saved is kept."""


class MissingPackageError(PersisterError, ImportError):
    """An optional package is needed and not installed."""


class PersisterClosedError(PersisterError, RuntimeError):
    """A persister was used after it had been closed."""


class UnstorableCellError(PersisterError, ValueError):
    """A cell of the store cannot be written to the medium; it stays in the store and blocks nothing else.

    Attributes:
        table_id: The table of the cell, None for a value.
        row_id: The row of the cell, None for a value.
        cell_id: The cell or value; None if the whole row or table cannot be written.
    """

    def __init__(self, table_id: str | None, row_id: str | None, cell_id: str | None, reason: str) -> None:
        super().__init__(f"{_place(table_id, row_id, cell_id)} stays unsaved: {reason}")
        self.table_id = table_id
        self.row_id = row_id
        self.cell_id = cell_id


class UnreadableCellError(PersisterError, ValueError):
    """Something in the medium is nothing a cell can be; it is left alone there and not loaded.

    Attributes:
        table_id: The table it would be loaded into, None for a value.
        row_id: The row, None for a value or if the row's key itself is unreadable.
        cell_id: The cell or value; None if the whole row is unreadable.
    """

    def __init__(self, table_id: str | None, row_id: str | None, cell_id: str | None, reason: str) -> None:
        super().__init__(f"{_place(table_id, row_id, cell_id)} is not loaded: {reason}")
        self.table_id = table_id
        self.row_id = row_id
        self.cell_id = cell_id


def _place(table_id: str | None, row_id: str | None, cell_id: str | None) -> str:
    if table_id is None:
        return f"value {cell_id!r}"
    place = f"table {table_id!r}"
    if row_id is not None:
        place += f", row {row_id!r}"
    if cell_id is not None:
        place += f", cell {cell_id!r}"
    return place


class DatabaseError(PersisterError):
    """Base of what can go wrong with a database file; the SQLite error is its ``__cause__``."""


class DatabaseClosedError(DatabaseError, RuntimeError):
    """The database is not open, or was closed while the call waited."""


class WrongThreadError(DatabaseError, RuntimeError):
    """A database is used from a thread whose event loop it does not belong to."""


class DatabaseBusyError(DatabaseError, TimeoutError):
    """Another connection held the database's lock for longer than the busy timeout."""


class DatabaseFullError(DatabaseError):
    """The disk, or the size allowed for the database, is full."""


class DatabaseReadOnlyError(DatabaseError, PermissionError):
    """The database or its folder may not be written."""


class DatabaseDamagedError(DatabaseError):
    """The file is not an SQLite database, is encrypted, or is corrupt; it has not been touched."""


class DatabaseTooNewError(DatabaseError):
    """The database was written by a newer version of cr-sqlite or SQLite; it has not been touched."""


class DatabaseInputOutputError(DatabaseError, OSError):
    """The disk or the file system failed, or the file cannot be opened."""


class IdentifierError(DatabaseError, ValueError):
    """A table or column name is none that cr-sqlite can take."""


class SchemaError(DatabaseError):
    """A table in the database is not as it must be."""


class MigrationError(DatabaseError):
    """A migration failed and was undone; the steps before it stay made."""


class ExtensionError(PersisterError):
    """Base of everything that can go wrong with finding, installing and checking cr-sqlite."""


class ExtensionOptionsError(ExtensionError, ValueError):
    """Options were given to the installer that exclude each other or cannot be understood."""


class ExtensionNotFoundError(ExtensionError, FileNotFoundError):
    """The extension is not where it was looked for; the message says how to get it there."""


class ExtensionDamagedError(ExtensionNotFoundError):
    """The installed extension is no longer the file that was checked and kept."""


class ExtensionCheckError(ExtensionError):
    """A library was loaded, or could not be, and is not a working cr-sqlite of the right version."""


class ReleaseUnavailableError(ExtensionError):
    """The prebuilt release cannot be had: no network, no such archive, or no checksum to hold it against."""


class ReleaseRefusedError(ExtensionError):
    """The downloaded archive is not the one that was promised, so it was deleted and nothing was installed.

    This never falls through to another source by itself, because it may mean that somebody tampers with
    the connection.
    """


class SourceBuildError(ExtensionError):
    """The build from the source package failed; the message holds the tool's last words."""


class ToolMissingError(SourceBuildError):
    """A tool that the source build needs is not on this machine; the message says how to get it."""
