"""`replicell.open_blocking`: everything with one call, for programs without an event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replicell
from replicell.app import AppClosedError, AppOptionsError, AppTimeoutError, NoServerError
from replicell.persisters import DatabaseBusyError, DatabaseDamagedError
from replicell.store import Store, WrongThreadError
from replicell.sync import SyncStatus, SyncTimeoutError

PATIENCE = 20.0
NOBODY = "ws://127.0.0.1:9/room"
TODO = {"todo": {"text": {"type": "string"}, "done": {"type": "boolean", "default": False}}}


def rows_in(path: Path) -> list[tuple[Any, ...]]:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        return list(reader.execute("SELECT _id, text FROM todo ORDER BY _id"))


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def all_ended(threads: set[threading.Thread]) -> bool:
    """Tell whether threads end, which those that have nothing more to do need a moment for."""
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


def run(program: str, cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


# ---------------------------------------------------------------------- keeping


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with replicell.open_blocking(path, tables=TODO) as app:
        app.store.set_row("todo", "1", {"text": "Milk"}).set_value("theme", "dark")
    with replicell.open_blocking(path, tables=TODO) as app:
        assert app.store.get_content() == (
            {"todo": {"1": {"text": "Milk", "done": False}}},
            {"theme": "dark"},
        )


def test_after_a_flush_it_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with replicell.open_blocking(path, tables=["todo"]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        app.flush()
        assert rows_in(path) == [("1", "Milk")]
        assert app.call(app.database.execute, "SELECT count(*) FROM todo") == [(1,)]


def test_what_was_written_before_an_exception_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with pytest.raises(ZeroDivisionError), replicell.open_blocking(path, tables=["todo"]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        raise ZeroDivisionError
    assert rows_in(path) == [("1", "Milk")]


def test_a_store_of_ones_own_keeps_what_it_has_and_gets_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with replicell.open_blocking(path, tables=TODO) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
    store = Store(strict=True).set_tables_schema({"todo": {"text": {"type": "string"}}})
    store.set_row("todo", "2", {"text": "Bread"})
    with replicell.open_blocking(path, store=store, values=False) as app:
        assert app.store is store
        assert store.get_table("todo") == {"1": {"text": "Milk"}, "2": {"text": "Bread"}}
    assert rows_in(path) == [("1", "Milk"), ("2", "Bread")]


def test_a_closed_app_keeps_nothing_more_and_leaves_the_store_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    app = replicell.open_blocking(path, tables=["todo"])
    app.store.set_row("todo", "1", {"text": "Milk"})
    assert app.is_open
    app.close()
    app.close()
    assert not app.is_open
    assert "closed" in repr(app)
    app.store.set_row("todo", "2", {"text": "Bread"})
    assert rows_in(path) == [("1", "Milk")]
    for use in (app.flush, app.wait_until_synced, lambda: app.call(app.database.execute, "SELECT 1")):
        with pytest.raises(AppClosedError, match="open it again"):
            use()


def test_tables_in_memory_only_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, "replicell.app"),
        replicell.open_blocking(":memory:", tables=["todo"]) as app,
    ):
        app.store.set_cell("tood", "1", "text", "Milk")
    assert "'tood' is in memory only" in caplog.text


# ---------------------------------------------------------------------- what goes wrong


def test_what_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("This is no database, and long enough for SQLite to see that." * 20)
    before = set(threading.enumerate())
    with pytest.raises(DatabaseDamagedError):
        replicell.open_blocking(tmp_path / "no.db", tables=["todo"])
    assert all_ended(set(threading.enumerate()) - before)


def test_a_store_of_another_thread_is_refused(tmp_path: Path) -> None:
    stores: list[Store] = []
    in_thread(lambda: stores.append(Store())).join(PATIENCE)
    before = set(threading.enumerate())
    with pytest.raises(WrongThreadError):
        replicell.open_blocking(tmp_path / "todo.db", tables=["todo"], store=stores[0])
    assert all_ended(set(threading.enumerate()) - before)
    assert list(tmp_path.iterdir()) == []


def test_options_are_checked_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(AppOptionsError, match="tables"):
        replicell.open_blocking(tmp_path / "todo.db")
    assert list(tmp_path.iterdir()) == []


def test_without_a_server_there_is_nobody_to_wait_for() -> None:
    with (
        replicell.open_blocking(":memory:", tables=["todo"]) as app,
        pytest.raises(NoServerError, match="server="),
    ):
        app.wait_until_synced(1)


def test_a_server_that_is_away_is_not_waited_for(tmp_path: Path) -> None:
    with replicell.open_blocking(tmp_path / "todo.db", tables=["todo"], server=NOBODY) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        app.flush(PATIENCE)
        with pytest.raises(SyncTimeoutError):
            app.wait_until_synced(0.05)


def test_errors_in_the_background_are_told_to_the_owner_when_it_pumps(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    told: list[tuple[Exception, int]] = []
    with replicell.open_blocking(
        path, tables=["todo"], on_error=lambda error: told.append((error, threading.get_ident()))
    ) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        app.flush(PATIENCE)
        app.call(app.database.execute, "PRAGMA busy_timeout = 20")
        with closing(apsw.Connection(str(path))) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusyError):
                app.store.set_row("todo", "2", {"text": "Bread"})
                app.flush(PATIENCE)
            app.wait_for(lambda _: told, PATIENCE)
            assert isinstance(app.status.problem, DatabaseBusyError)
            with pytest.raises(AppTimeoutError):
                app.call(asyncio.sleep, 0)
                app.wait_for(lambda _: False, 0.01)
            somebody.execute("ROLLBACK")
        app.flush(PATIENCE)
        assert app.status.problem is None
    error, thread = told[0]
    assert isinstance(error, DatabaseBusyError)
    assert thread == threading.get_ident()
    assert rows_in(path) == [("1", "Milk"), ("2", "Bread")]


def test_a_listener_that_fails_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture, room: str) -> None:
    told: list[Exception] = []

    def fail(*_: object) -> None:
        raise ValueError("the listener")

    with (
        replicell.open_blocking(":memory:", tables=["todo"], server=room, on_error=told.append) as a,
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as b,
        caplog.at_level(logging.CRITICAL, "replicell.app"),
    ):
        listener_id = a.store.add_cell_listener("todo", None, None, fail)
        b.store.set_row("todo", "1", {"text": "Milk"})
        a.wait_for(lambda _: told, PATIENCE)
        a.store.del_listener(listener_id)
        b.store.set_row("todo", "2", {"text": "Bread"})
        a.wait_for(lambda store: len(store.get_row_ids("todo")) == 2, PATIENCE)
    assert str(told[0]) == "the listener"


# ---------------------------------------------------------------------- the owner's thread


def test_what_comes_from_elsewhere_enters_only_in_pump(room: str) -> None:
    heard: list[int] = []
    with (
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as a,
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as b,
    ):
        a.store.add_cell_listener("todo", None, None, lambda *_: heard.append(threading.get_ident()))
        b.store.set_row("todo", "1", {"text": "Milk"})
        b.wait_until_synced(PATIENCE)
        a._engine.begin(a._engine.app.wait_until_synced).result(
            PATIENCE
        )  # Now it is known in the background.
        assert (a.store.get_tables(), heard) == ({}, [])
        assert a.pump() > 0
        assert heard == [threading.get_ident()]
        assert a.store.get_tables() == b.store.get_tables()


def test_after_wait_until_synced_the_store_has_what_the_server_has(room: str) -> None:
    with (
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as a,
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as b,
    ):
        for number in range(20):
            a.store.set_row("todo", str(number), {"text": "Milk"})
            a.wait_until_synced(PATIENCE)
            b.wait_until_synced(PATIENCE)
            assert len(b.store.get_row_ids("todo")) == number + 1
        assert b.status == (None, SyncStatus.SYNCED, "")


def test_the_next_pump_lets_in_what_a_transaction_that_failed_kept_out() -> None:
    with replicell.open_blocking(":memory:", tables=["todo"]) as app:
        app.store.set_cell("todo", "1", "text", "before")
        app.flush(PATIENCE)
        with pytest.raises(ZeroDivisionError), app.store.transaction():
            app.store.set_cell("todo", "1", "text", "mine")
            app.call(app.database.execute, "UPDATE todo SET text = 'theirs'")
            app.call(app._engine.app.persister.load)  # Now it is known in the background.
            assert app.pump() == 0
            assert app.store.get_cell("todo", "1", "text") == "mine"
            raise ZeroDivisionError
        assert app.store.get_cell("todo", "1", "text") == "before"
        assert app.pump() == 1
        assert app.store.get_cell("todo", "1", "text") == "theirs"


def test_pump_waits_no_longer_than_it_is_told() -> None:
    with replicell.open_blocking(":memory:", tables=["todo"]) as app:
        assert app.pump() == 0
        assert app.pump(0.01) == 0


def test_other_threads_may_submit_while_the_owner_waits(tmp_path: Path) -> None:
    results: list[object] = []
    with replicell.open_blocking(tmp_path / "todo.db", tables=["todo"]) as app:
        store = app.store

        def work() -> None:
            with pytest.raises(WrongThreadError):
                store.set_row("todo", "1", {"text": "Milk"})
            results.append(store.submit(store.set_row, "todo", "1", {"text": "Milk"}).result(PATIENCE))

        thread = in_thread(work)
        app.wait_for(lambda store: store.has_row("todo", "1"), PATIENCE)
        thread.join(PATIENCE)
        assert results == [store]
        app.flush(PATIENCE)
    assert rows_in(tmp_path / "todo.db") == [("1", "Milk")]


def test_a_schedule_is_told_when_there_is_something_to_let_in(room: str) -> None:
    todo: list[Callable[[], object]] = []
    scheduled = threading.Event()

    def schedule(function: Callable[[], object]) -> None:
        todo.append(function)
        scheduled.set()

    with (
        replicell.open_blocking(":memory:", tables=["todo"], server=room, schedule=schedule) as a,
        replicell.open_blocking(":memory:", tables=["todo"], server=room) as b,
    ):
        b.store.set_row("todo", "1", {"text": "Milk"})
        while not a.store.has_row("todo", "1"):
            assert scheduled.wait(PATIENCE)
            scheduled.clear()
            while todo:
                todo.pop(0)()


def test_an_app_belongs_to_the_thread_that_opened_it(tmp_path: Path) -> None:
    def program() -> None:
        with replicell.open_blocking(tmp_path / "todo.db", tables=["todo"]) as app:
            app.store.set_row("todo", "1", {"text": "Milk"})

    thread = in_thread(program)
    thread.join(PATIENCE)
    assert rows_in(tmp_path / "todo.db") == [("1", "Milk")]


async def test_it_works_beside_a_running_loop(tmp_path: Path) -> None:
    """As in a notebook, where a cell runs on the thread of the kernel's loop."""
    with replicell.open_blocking(tmp_path / "todo.db", tables=["todo"]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        app.flush(PATIENCE)
    assert rows_in(tmp_path / "todo.db") == [("1", "Milk")]


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from("123"), st.integers(0, 99) | st.none()), max_size=60
)
"""Who does it, to which row, and what is written there; None to pump instead."""


@settings(max_examples=12, deadline=None)
@given(STEPS)
def test_two_programs_that_write_and_pump_in_any_order_end_equal_and_lose_nothing(
    steps: list[tuple[int, str, int | None]],
) -> None:
    """On one file, each with its own cells of shared rows, so that it is known what must be there."""
    with (
        tempfile.TemporaryDirectory() as folder,
        replicell.open_blocking(Path(folder) / "t.db", tables=["t"]) as first,
        replicell.open_blocking(Path(folder) / "t.db", tables=["t"]) as second,
    ):
        apps = (first, second)
        written = Store()
        for who, row, content in steps:
            if content is None:
                apps[who].pump()
            else:
                apps[who].store.set_cell("t", row, f"of {who}", content)
                written.set_cell("t", row, f"of {who}", content)
                assert apps[who].store.get_cell("t", row, f"of {who}") == content
            for other, app in enumerate(apps):
                for row_id, cells in written.get_table("t").items():
                    if f"of {other}" in cells:
                        assert app.store.get_cell("t", row_id, f"of {other}") == cells[f"of {other}"]
        for app in apps:
            app.flush(PATIENCE)
        for app in apps:
            app.wait_for(lambda store: store.get_tables() == written.get_tables(), PATIENCE)


def test_three_programs_at_full_speed_end_equal_and_lose_nothing_of_their_own(
    tmp_path: Path, room: str
) -> None:
    """Each in its own thread and on its own file; they share rows, and each has one of its own."""
    everybody = threading.Barrier(3)
    held: dict[str, object] = {}

    def program(name: str) -> None:
        dice = random.Random(name)
        with replicell.open_blocking(tmp_path / f"{name}.db", tables=["t"], server=room) as app:
            store = app.store
            own: dict[str, Any] = {}
            for number in range(400):
                row, cell = str(dice.randrange(10)), dice.choice("abc")
                match dice.choice(["set", "set", "set", "delete", "own", "pump"]):
                    case "set":
                        store.set_cell("t", row, cell, f"{name}{number}")
                    case "delete":
                        store.del_row("t", row)
                    case "own":
                        store.set_cell("t", name, cell, number)
                        own[cell] = number
                    case _:
                        app.pump()
                assert store.get_row("t", name) == own
            for _ in range(2):
                app.wait_until_synced(PATIENCE)
                everybody.wait(PATIENCE)
            app.wait_until_synced(PATIENCE)
            held[name] = store.get_tables()
            everybody.wait(PATIENCE)

    def run_program(name: str) -> None:
        try:
            program(name)
        except BaseException:
            everybody.abort()
            raise

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(run_program, name) for name in ("x", "y", "z")]:
            done.result(PATIENCE * 4)
    assert held["x"] == held["y"] == held["z"]


def test_a_failure_at_the_end_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    app = replicell.open_blocking(path, tables=["todo"])
    app.store.set_row("todo", "1", {"text": "Milk"})
    app.flush(PATIENCE)
    app.call(app.database.execute, "PRAGMA busy_timeout = 20")
    with closing(apsw.Connection(str(path))) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        app.store.set_row("todo", "2", {"text": "Bread"})
        with pytest.raises(DatabaseBusyError):
            app.close()
        app.close()
        somebody.execute("ROLLBACK")


# ---------------------------------------------------------------------- programs that end


def test_a_plain_script_with_threads(tmp_path: Path, room: str) -> None:
    script = f"""
import threading
import replicell

with replicell.open_blocking("script.db", tables=["todo"], server={room!r}) as app:
    def work(name):
        for number in range(50):
            app.store.submit(app.store.set_row, "todo", f"{{name}}{{number}}", {{"by": name}})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    app.wait_for(lambda store: len(store.get_row_ids("todo")) == 150, 20)
    for thread in threads:
        thread.join()
    app.wait_until_synced(20)
    print(len(app.store.get_row_ids("todo")), app.status.sync.value)
"""
    result = run(script, tmp_path, "-W", "error", "-X", "dev")
    assert (result.stdout, result.stderr) == ("150 synced\n", "")
    with replicell.open_blocking(":memory:", tables=["todo"], server=room) as app:
        app.wait_until_synced(PATIENCE)
        assert len(app.store.get_row_ids("todo")) == 150


def test_the_plain_interpreter(tmp_path: Path) -> None:
    lines = [
        "import replicell",
        "app = replicell.open_blocking('repl.db', tables=['todo'])",
        "app.store.set_row('todo', '1', {'text': 'Milk'})",
        "app.flush()",
        "app.close()",
        "app",
    ]
    result = subprocess.run(
        [sys.executable, "-q", "-i", "-W", "error"],
        input="\n".join(lines) + "\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert result.stdout == "<Store: 1 table, 1 row, 0 values>\n<BlockingApp repl.db closed>\n"
    assert "Error" not in result.stderr
    assert rows_in(tmp_path / "repl.db") == [("1", "Milk")]


@pytest.mark.parametrize("server", [None, "ws://localhost:9/room"])
def test_a_program_that_forgets_to_close_saves_and_is_warned(tmp_path: Path, server: str | None) -> None:
    script = (
        f"import replicell\napp = replicell.open_blocking('a.db', tables=['todo'], server={server!r})\n"
        "app.store.set_row('todo', '1', {'text': 'Milk'})\n"
    )
    result = run(script, tmp_path, "-W", "always")
    assert result.returncode == 0
    assert "ResourceWarning: the app of a.db was never closed" in result.stderr
    assert "Traceback" not in result.stderr
    assert rows_in(tmp_path / "a.db") == [("1", "Milk")]


def test_an_app_that_is_dropped_saves_and_warns(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    threads = set(threading.enumerate())
    app = replicell.open_blocking(path, tables=["todo"])
    store = app.store.set_row("todo", "1", {"text": "Milk"})
    mine = set(threading.enumerate()) - threads
    with pytest.warns(ResourceWarning, match="never closed"):
        del app
        gc.collect()
    assert all_ended(mine)
    assert rows_in(path) == [("1", "Milk")]
    store.set_row("todo", "2", {"text": "Bread"})  # It is the program's own again.


def test_an_interrupted_wait_leaves_an_app_that_can_be_closed(tmp_path: Path) -> None:
    script = """
import os, signal, threading
import replicell

with replicell.open_blocking("a.db", tables=["todo"], server="ws://127.0.0.1:9/room") as app:
    app.store.set_row("todo", "1", {"text": "Milk"})
    main = threading.main_thread().ident
    for wait in (app.wait_until_synced, lambda: app.wait_for(lambda _: False)):
        try:
            threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
            wait()
        except KeyboardInterrupt:
            print("interrupted", app.is_open)
    app.flush()
print("closed")
"""
    if not hasattr(signal, "pthread_kill"):
        pytest.skip("this system cannot send a signal to one thread")
    result = run(script, tmp_path, "-W", "error", "-X", "dev")
    assert (result.stdout, result.stderr) == ("interrupted True\ninterrupted True\nclosed\n", "")
    assert rows_in(tmp_path / "a.db") == [("1", "Milk")]
