from __future__ import annotations

from collections.abc import Callable

import pytest

from replicell.todo.connection import ConnectionState, Phase
from replicell.todo.storage import Storage
from replicell.todo.view import TodoView
from tests.todo.screen import app_with, connection, counts, line, lines, reason, texts, type_in, until


class StagedConnection:
    """A connection whose state the test says."""

    def __init__(self, state: ConnectionState) -> None:
        self.state = state
        self.company = ""
        self.listeners: list[Callable[[], None]] = []
        self.toggles = 0

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    async def toggle(self) -> None:
        self.toggles += 1

    def become(self, state: ConnectionState, company: str = "") -> None:
        self.state, self.company = state, company
        for listener in self.listeners:
            listener()


async def test_the_counts_follow() -> None:
    app = app_with("one", "two")
    async with app.run_test() as pilot:
        await until(pilot, lambda: counts(app) == "2 open, 0 done")
        await pilot.press("space")
        await until(pilot, lambda: counts(app) == "1 open, 1 done")


async def test_without_a_server_the_list_says_that_it_is_local() -> None:
    app = app_with("one")
    async with app.run_test() as pilot:
        await until(pilot, lambda: connection(app) == "□ local only")
        await pilot.press("s")
        assert connection(app) == "□ local only"
        assert "--server" in reason(app)


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (ConnectionState(Phase.CONNECTING), "◌ connecting"),
        (ConnectionState(Phase.SYNCING), "◐ syncing"),
        (ConnectionState(Phase.SYNCED, "here"), "● synced"),
        (ConnectionState(Phase.PAUSED), "‖ paused"),
        (ConnectionState(Phase.OFFLINE, "no route"), "○ offline"),
        (ConnectionState(Phase.REFUSED, "wrong token"), "✘ refused"),
    ],
)
async def test_the_state_of_the_connection_can_always_be_seen(state: ConnectionState, shown: str) -> None:
    staged = StagedConnection(ConnectionState(Phase.OFFLINE))
    app = app_with("one", connection=staged)
    async with app.run_test() as pilot:
        staged.become(state)
        await until(pilot, lambda: connection(app) == shown and reason(app) == state.reason)
        await until(pilot, lambda: lines(app)[0].endswith(shown))
        await pilot.press("D")
        await until(pilot, lambda: lines(app)[0].endswith(shown))


async def test_who_else_is_there_can_be_seen_beside_the_connection() -> None:
    staged = StagedConnection(ConnectionState(Phase.SYNCED))
    app = app_with("one", connection=staged)
    async with app.run_test() as pilot:
        await until(pilot, lambda: lines(app)[0].endswith("● synced"))
        assert "with" not in lines(app)[0]
        staged.become(ConnectionState(Phase.SYNCED), "with Anna, Ben and 1 other")
        await until(pilot, lambda: lines(app)[0].endswith("with Anna, Ben and 1 other  ● synced"))
        assert lines(app)[0].lstrip().startswith("✔ todo")
        staged.become(ConnectionState(Phase.OFFLINE))
        await until(pilot, lambda: lines(app)[0].endswith("○ offline") and "with" not in lines(app)[0])


async def test_a_reason_from_a_server_cannot_steer_the_terminal() -> None:
    app = app_with(
        connection=StagedConnection(ConnectionState(Phase.REFUSED, "[bold]no\x1b[2J\nway[/nothing]"))
    )
    async with app.run_test() as pilot:
        await until(pilot, lambda: reason(app) == "[bold]no [2J way[/nothing]")


async def test_a_problem_with_the_database_is_shown_instead_of_the_reason() -> None:
    storage = Storage()
    app = app_with("one", storage=storage)
    async with app.run_test() as pilot:
        storage.on_error(OSError("no room left on the disk"))
        await until(pilot, lambda: reason(app) == "no room left on the disk")


async def test_s_switches_the_connection_but_is_a_letter_in_the_entry_line() -> None:
    staged = StagedConnection(ConnectionState(Phase.SYNCED))
    app = app_with("one", connection=staged)
    async with app.run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: staged.toggles == 1)
        await pilot.press("a", "s")
        assert (staged.toggles, line(app)) == (1, "s")
    assert staged.listeners == []


class TestDeletingAll:
    async def test_yes_deletes_all(self) -> None:
        app = app_with("one", "two")
        async with app.run_test() as pilot:
            await pilot.press("D")
            assert any("Delete all 2 todos" in each for each in lines(app))
            await pilot.press("y")
            await until(pilot, lambda: texts(app) == [] and "Nothing to do" in lines(app)[2])

    @pytest.mark.parametrize("key", ["n", "escape", "enter", "q"])
    async def test_no_is_the_answer_of_the_other_keys(self, key: str) -> None:
        app = app_with("one", "two")
        async with app.run_test() as pilot:
            await pilot.press("D", key)
            await until(pilot, lambda: len(app.screen_stack) == 1)
            assert texts(app) == ["one", "two"]
            assert app.is_running

    async def test_the_buttons_can_be_reached_with_the_arrows(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("D", "left", "enter")
            await until(pilot, lambda: texts(app) == [])

    async def test_the_question_counts_those_that_arrive_meanwhile(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("D")
            assert any("Delete the one todo" in each for each in lines(app))
            app.todos.add("two")
            await until(pilot, lambda: any("Delete all 2 todos" in each for each in lines(app)))

    async def test_where_there_is_nothing_nothing_is_asked(self) -> None:
        app = app_with()
        async with app.run_test() as pilot:
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.focused, TodoView))
            await pilot.press("D")
            assert len(app.screen_stack) == 1


class TestLeaving:
    async def test_q_ends_the_program(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("q")
            await until(pilot, lambda: not app.is_running)
        assert app.return_code == 0

    async def test_ctrl_c_ends_it_from_the_entry_line_and_keeps_what_was_typed(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("a")
            await type_in(pilot, "half a todo", and_press="ctrl+c")
            await until(pilot, lambda: not app.is_running)
        assert texts(app) == ["one", "half a todo"]

    async def test_an_unfinished_edit_is_kept_and_so_is_the_text_that_waited_for_it(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("a")
            await type_in(pilot, "half a todo", and_press="escape")
            await pilot.press("e")
            await type_in(pilot, "!", and_press="ctrl+c")
            await until(pilot, lambda: not app.is_running)
        assert texts(app) == ["one!", "half a todo"]

    async def test_it_can_end_while_a_question_is_open(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            await pilot.press("D", "ctrl+c")
            await until(pilot, lambda: not app.is_running)
        assert texts(app) == ["one"]


class TestLook:
    async def test_the_help_in_the_last_line_fits_80_columns_and_says_what_the_focus_can_do(self) -> None:
        app = app_with("one")
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            help_ = "space Toggle  a Add  e Edit  d Delete  D Delete all  s Sync on/off  q Quit"
            assert lines(app)[23].strip() == help_
            await pilot.press("a")
            await until(pilot, lambda: "Back to the list" in lines(app)[23])

    async def test_t_changes_between_dark_and_light(self) -> None:
        app = app_with("one")
        async with app.run_test() as pilot:
            assert app.current_theme.dark
            await pilot.press("t")
            assert not app.current_theme.dark
            await pilot.press("t")
            assert app.current_theme.dark

    async def test_the_title_is_the_name(self) -> None:
        app = app_with("one", name="Anna")
        async with app.run_test() as pilot:
            await until(pilot, lambda: "Anna" in lines(app)[0])
