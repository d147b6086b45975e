"""Changes that a hook refuses by their content, over real sockets: told, kept, and taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync import (
    CellChange,
    ChangeSet,
    Identity,
    Limits,
    RefusedChange,
    SyncClient,
    SyncStatus,
)
from replicell.sync.messages import (
    Ack,
    AskRow,
    Changes,
    Problem,
    Ready,
    Row,
    Welcome,
)
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, hear, tell


def no_beer(changes: ChangeSet, identity: Identity) -> str | None:
    """Refuse whole transactions in which somebody but Anna drinks."""
    drinks = any(change.value == "beer" for change in changes.changes)
    return "no beer here" if drinks and identity.name != "anna" else None


class TestChangesThatAreRefused:
    """A ``validate`` hook refuses by content; its reasons reach the client, which can take back."""

    @pytest.fixture
    async def pair(
        self, open_database: OpenDatabase, open_client: OpenClient, open_server: OpenServer
    ) -> tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]:
        server = await open_server(validate=no_beer)
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        return a, sync_a, b, sync_b

    async def test_the_client_is_told_which_and_why_and_the_others_never_see_them(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        told: list[RefusedChange] = []
        listener = sync_a.add_refused_listener(lambda _, changes: told.extend(changes))
        await put(a, "1", "milk")
        await put(a, "2", "beer")
        await put(a, "3", "bread")
        for sync in (sync_a, sync_b, sync_a):
            await sync.wait_until_synced(PATIENCE)

        assert await rows(b) == {"1": "milk", "3": "bread"}
        assert {(change.table, change.key, change.column, change.reason) for change in told} == {
            ("todo", ("2",), "text", "no beer here"),
            ("todo", ("2",), "n", "no beer here"),
        }
        assert set(told) == set(sync_a.refused_changes)
        assert "no beer here" in sync_a.status_detail
        assert sync_a.status is SyncStatus.SYNCED
        sync_a.del_listener(listener)

    async def test_a_refused_edit_stays_until_it_is_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        await put(a, "1", "milk")
        await sync_a.wait_until_synced(PATIENCE)
        await put(a, "1", "beer")
        await put(a, "2", "beer")
        await sync_a.wait_until_synced(PATIENCE)
        assert await rows(a) == {"1": "beer", "2": "beer"}

        reverted = await sync_a.revert()

        assert await rows(a) == {"1": "milk"}
        assert {change.key for change in reverted} == {("1",), ("2",)}
        assert sync_a.refused_changes == ()
        await sync_b.wait_until_synced(PATIENCE)
        await put(b, "1", "bread")
        await sync_b.wait_until_synced(PATIENCE)
        await sync_a.wait_until_synced(PATIENCE)
        assert await rows(a) == await rows(b) == {"1": "bread"}

    async def test_only_some_may_be_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, *_ = pair
        await put(a, "1", "beer")
        await put(a, "2", "beer")
        await sync_a.wait_until_synced(PATIENCE)

        assert await sync_a.revert([]) == ()
        await sync_a.revert(change for change in sync_a.refused_changes if change.key == ("1",))

        assert await rows(a) == {"2": "beer"}
        assert {change.key for change in sync_a.refused_changes} == {("2",)}

    async def test_a_better_edit_is_judged_anew_and_not_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        await put(a, "1", "beer")
        await sync_a.wait_until_synced(PATIENCE)
        refused = sync_a.refused_changes
        await put(a, "1", "juice")
        await sync_a.wait_until_synced(PATIENCE)
        await sync_b.wait_until_synced(PATIENCE)
        assert await rows(b) == {"1": "juice"}

        reverted = await sync_a.revert(change for change in refused if change.column == "text")

        assert reverted == ()
        assert await rows(a) == {"1": "juice"}

    async def test_a_persisted_store_follows_what_is_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        from replicell.persisters import create_crsqlite_persister
        from replicell.store import Store

        a, sync_a, *_ = pair
        store = Store()
        persister = create_crsqlite_persister(
            store,
            a,
            {
                "mode": "tabular",
                "tables": {
                    "load": {"todo": {"table_id": "todo", "row_id_column_name": "id"}},
                    "save": {"todo": {"table_name": "todo", "row_id_column_name": "id"}},
                },
            },
        )
        await persister.start_auto_load()
        await persister.start_auto_save()
        store.set_row("todo", "1", {"text": "milk"})
        await persister.save()
        await sync_a.wait_until_synced(PATIENCE)
        gone = asyncio.Event()
        store.add_row_ids_listener("todo", lambda *_: gone.set() if not store.has_row("todo", "2") else None)
        store.set_cell("todo", "1", "text", "beer")
        store.set_row("todo", "2", {"text": "beer"})
        await persister.save()
        await sync_a.wait_until_synced(PATIENCE)
        gone.clear()

        await sync_a.revert()

        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        await persister.load()
        assert store.get_tables() == {"todo": {"1": {"text": "milk"}}}
        await persister.destroy()

    async def test_the_hook_sees_whole_transactions_decoded(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        seen: list[ChangeSet] = []

        def validate(changes: ChangeSet, identity: Identity) -> None:
            seen.append(changes)

        server = await open_server(validate=validate)
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/a/b")
        await db.execute(
            "INSERT INTO todo(id, text, n) VALUES ('1', '\ufffd{\"a\":[1]}', '\ufffdtrue'), ('2', 'x', NULL)"
        )
        await sync.wait_until_synced(PATIENCE)
        await db.execute("UPDATE todo SET text = NULL WHERE id = '2'")
        await db.execute("DELETE FROM todo WHERE id = '1'")
        await sync.wait_until_synced(PATIENCE)

        assert [change_set.room for change_set in seen] == ["a/b"] * len(seen)
        assert all(change_set.complete and change_set.author == db.site_id for change_set in seen)
        assert seen[0].cells("todo") == {("1",): {"text": {"a": [1]}, "n": True}, ("2",): {"text": "x"}}
        later = [change for change_set in seen[1:] for change in change_set.changes]
        assert [(change.kind, change.key, change.column) for change in later] == [
            ("clear", ("2",), "text"),
            ("delete", ("1",), None),
        ]

    async def test_a_part_of_a_transaction_may_be_refused(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        async def validate(changes: ChangeSet, identity: Identity) -> dict[CellChange, str]:
            return {change: "not this" for change in changes.changes if change.value == "beer"}

        server = await open_server(validate=validate)
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        await a.execute("INSERT INTO todo(id, text, n) VALUES ('1', 'beer', 5), ('2', 'milk', 6)")
        await sync_a.wait_until_synced(PATIENCE)
        await sync_b.wait_until_synced(PATIENCE)

        assert await b.execute("SELECT id, text, n FROM todo ORDER BY id") == [
            ("1", None, 5),
            ("2", "milk", 6),
        ]
        assert [(change.key, change.column) for change in sync_a.refused_changes] == [(("1",), "text")]

    async def test_more_than_a_hundred_refused_changes_are_all_told(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(validate=lambda changes, identity: "closed on Sundays")
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room")
        await db.execute(
            "WITH RECURSIVE up(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM up WHERE i < 150)"
            " INSERT INTO todo(id, text) SELECT CAST(i AS TEXT), 'x' FROM up"
        )
        await sync.wait_until_synced(PATIENCE)

        assert len({(change.key, change.column) for change in sync.refused_changes}) == 300

    @pytest.mark.parametrize("fault", ["fail", "hang", "nonsense"])
    async def test_while_the_hook_fails_or_hangs_nothing_is_lost_and_nothing_applied(
        self,
        open_server: OpenServer,
        open_database: OpenDatabase,
        open_client: OpenClient,
        caplog: pytest.LogCaptureFixture,
        fault: str,
    ) -> None:
        broken = True

        async def validate(changes: ChangeSet, identity: Identity) -> Any:
            if broken and any(change.value == "trigger" for change in changes.changes):
                if fault == "fail":
                    raise RuntimeError("secret detail")
                if fault == "hang":
                    await asyncio.Event().wait()
                return 7
            return None

        server = await open_server(validate=validate, limits=Limits(hook_seconds=0.05))
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        await sync_a.wait_until_synced(PATIENCE)
        await put(a, "1", "trigger")
        await reached(sync_a, SyncStatus.OFFLINE)
        assert "could not judge" in sync_a.status_detail
        assert "secret" not in sync_a.status_detail
        await put(b, "2", "from the other")
        await sync_b.wait_until_synced(PATIENCE)
        assert await rows(b) == {"2": "from the other"}
        assert "could not be judged" in caplog.text

        broken = False
        await eventually(b, lambda: has_rows(b, 2))
        await sync_a.wait_until_synced(PATIENCE)
        assert sync_a.refused_changes == ()

    async def test_what_cannot_be_decoded_never_gets_past_the_hook(self, open_server: OpenServer) -> None:
        seen: list[CellChange] = []

        def validate(changes: ChangeSet, identity: Identity) -> None:
            seen.extend(changes.changes)

        server = await open_server(validate=validate)
        good = Change("todo", pack_key(["a"]), "text", "good", 1, 1, 0, 1)
        bad = Change("todo", b"\x01\x49" + b"\0" * 20, "text", "bad", 1, 1, 0, 1)
        nested: Any = {"a": 1}
        odd = Change("todo", pack_key(["b"]), "text", nested, 1, 1, 0, 1)
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [bad, good, odd]))
            problem = await hear(websocket, Problem)
            assert {row.pk for row in problem.rows} == {bad.pk, odd.pk}
        assert [change.value for change in seen] == ["good"]

    async def test_a_row_is_told_as_it_stands(self, open_server: OpenServer) -> None:
        server = await open_server()
        row = Change("todo", pack_key(["a"]), "text", "good", 1, 1, 0, 1)
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [row]))
            await hear(websocket, Ack)
            for number, (table, pk) in enumerate(
                [("todo", row.pk), ("todo", b""), ("todo", pack_key([1, 2])), ("none", row.pk)]
            ):
                await tell(websocket, AskRow(number, table, pk))
            answers = [await hear(websocket, Row) for _ in range(4)]
        assert [(answer.number, [change.val for change in answer.rows]) for answer in answers] == [
            (0, ["good"]), (1, []), (2, []), (3, []),
        ]  # fmt: skip
