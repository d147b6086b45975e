"""How new what a database has is, cell by cell; and so whether who is said to have it all does."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from replicell.persisters.crsqlite.changes import ROW
from replicell.persisters.crsqlite.keys import unpack_key
from tests.simulation.oracle import BrokenPromiseError, Holder

__all__ = ["Cell", "Knowledge", "check_cursors", "check_has_all"]

_LEDGERS: Final = ("replicell_peers", "replicell_peers_elsewhere", "replicell_servers")
_PARKED: Final = "SELECT tbl, pk, cid, cl, col_version FROM replicell_parked"
# What a deletion or a return has changed of a row is as new as that.
_CELLS: Final = """
    SELECT '{table}', pks.id, cell.col_name, ifnull(life.col_version, 1), cell.col_version,
        max(cell.db_version, ifnull(life.db_version, 0))
    FROM "{table}__crsql_clock" AS cell
    JOIN "{table}__crsql_pks" AS pks ON pks.__crsql_key = cell.key
    LEFT JOIN "{table}__crsql_clock" AS life ON life.key = cell.key AND life.col_name = '-1'
"""
_Place: TypeAlias = tuple[str, Any, str]
_NOTHING: Final = (0, 0)


class Cell(NamedTuple):
    """A cell as it stands in a database.

    Args:
        table: Its table.
        key: Its row's ``id``.
        column: Its column, or the row's own pseudo-column.
        life: How often its row was made and deleted.
        age: How often it was written in this life.
    """

    table: str
    key: Any
    column: str
    life: int
    age: int


class Knowledge:
    """What a database knows at this moment of each cell that it has ever had.

    Args:
        holder: Whose database it is.
    """

    def __init__(self, holder: Holder) -> None:
        self.name = holder.name
        conn = holder.conn
        self.site_id = conn.execute("SELECT crsql_site_id()").get
        tables = {str(name) for (name,) in conn.execute("SELECT name FROM sqlite_master")}
        clocks = sorted(name for name in tables if name.endswith("__crsql_clock"))
        rows: Any = conn.execute(_cells_sql(tuple(clocks))).fetchall() if clocks else []
        self._rows: list[Any] = rows
        """Each a `Cell` and the version at which it came to be so."""
        self.epochs: dict[bytes, int] = {}
        """With the last version in each; the present one is the first."""
        end: int = max((row[5] for row in rows), default=0)
        begun: Any = conn.execute("SELECT id, start FROM replicell_epochs ORDER BY position DESC")
        for epoch, start in begun:
            self.epochs[epoch] = end
            end = start
        self.noted: dict[Any, list[tuple[str, bytes, int]]] = {}
        """By site id: in which ledger, and up to which version of which epoch it notes to have somebody."""
        for ledger in _LEDGERS:
            if ledger in tables:
                noted: Any = conn.execute(f"SELECT site_id, epoch, version FROM {ledger}")
                for site_id, epoch, version in noted:
                    self.noted.setdefault(site_id, []).append((ledger, epoch, version))
        parked = conn.execute(_PARKED).fetchall() if "replicell_parked" in tables else []
        self._parked_rows: list[Any] = parked

    def lacking(self, owner: Knowledge, version: int) -> list[Cell]:
        """Return what of another database's changes up to a version is neither here, nor overruled, nor kept
        for a table that is still to come."""
        strange = owner.until(version) - self._cells
        return [cell for cell in sorted(map(Cell._make, strange), key=repr) if not self._has(cell)]

    def until(self, version: int) -> set[tuple[Any, ...]]:
        """Return all cells that have not changed since a version."""
        return {row[:5] for row in self._rows if row[5] <= version}

    @cached_property
    def _cells(self) -> set[tuple[Any, ...]]:
        return {row[:5] for row in self._rows}

    @cached_property
    def _ages(self) -> dict[_Place, int]:
        return {row[:3]: row[4] for row in self._rows}

    @cached_property
    def _lives(self) -> dict[tuple[str, Any], int]:
        return {row[:2]: row[3] for row in self._rows}

    @cached_property
    def _parked(self) -> dict[_Place, tuple[int, int]]:
        parked: dict[_Place, tuple[int, int]] = {}
        for table, pk, column, life, age in self._parked_rows:
            place = table, unpack_key(pk)[0], column
            parked[place] = max(parked.get(place, _NOTHING), (life, age))
        return parked

    def _has(self, cell: Cell) -> bool:
        place = cell[:3]
        life = self._lives.get(cell[:2], 0)
        return (
            life > cell.life
            or (life == cell.life and (cell.column == ROW or self._ages.get(place, 0) >= cell.age))
            or self._parked.get(place, _NOTHING) >= (cell.life, cell.age)
        )


def check_cursors(owner: Knowledge, holder: Knowledge) -> None:
    """No cursor is ahead of the data it speaks of: whoever notes to have somebody's changes up to a version
    has them all.

    Args:
        owner: Whose changes they are.
        holder: Who may have noted something about them.

    Raises:
        BrokenPromiseError: One is.
    """
    (present, latest), *_ = owner.epochs.items()
    for ledger, epoch, version in holder.noted.get(owner.site_id, ()):
        claim = f"{holder.name} notes in {ledger} to have {owner.name} up to {version}"
        if epoch == present and version > latest:
            raise BrokenPromiseError(f"{claim}, which is at {latest}")
        # Otherwise it is of a copy's history, or of what a restored file has forgotten: nobody goes by it.
        if version <= owner.epochs.get(epoch, -1):
            check_has_all(owner, holder, version, claim)


def check_has_all(owner: Knowledge, holder: Knowledge, version: int, claim: str) -> None:
    """Who is said to have somebody's changes up to a version has them.

    Raises:
        BrokenPromiseError: Some are not there.
    """
    lacking = holder.lacking(owner, version)
    if lacking:
        raise BrokenPromiseError(f"{claim}, but lacks {lacking[:5]}")


@cache
def _cells_sql(clocks: tuple[str, ...]) -> str:
    return " UNION ALL ".join(_CELLS.format(table=clock.removesuffix("__crsql_clock")) for clock in clocks)
