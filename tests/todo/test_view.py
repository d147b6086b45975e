from __future__ import annotations

import pytest

from replicell.todo.view import TodoView
from tests.todo.screen import app_with, lines, selected, texts, until


async def test_each_todo_has_a_line_with_a_mark_and_the_cursor_stands_on_the_first() -> None:
    app = app_with("Buy milk", "Bake bread")
    app.todos.toggle(app.todos[0].row_id)
    async with app.run_test(size=(40, 16)) as pilot:
        await pilot.pause()
        assert lines(app)[2:5] == ["▌ ○ Bake bread", "  ✔ Buy milk", ""]


async def test_an_empty_list_says_so() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "Nothing to do" in lines(app)[2]
        assert selected(app) is None


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        (["down"], "two"),
        (["j", "j"], "three"),
        (["down", "up"], "one"),
        (["up"], "one"),
        (["end"], "four"),
        (["end", "down"], "four"),
        (["end", "k"], "three"),
        (["end", "home"], "one"),
        (["pagedown"], "four"),
        (["pagedown", "pageup"], "one"),
    ],
)
async def test_keys_move_the_cursor(keys: list[str], where: str) -> None:
    app = app_with("one", "two", "three", "four")
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        assert selected(app) == where


@pytest.mark.parametrize("key", ["space", "enter"])
async def test_toggle_moves_the_todo_and_the_cursor_goes_with_it(key: str) -> None:
    app = app_with("one", "two", "three")
    async with app.run_test() as pilot:
        await pilot.press(key)
        await until(pilot, lambda: lines(app)[2:5] == ["  ○ two", "  ○ three", "▌ ✔ one"])
        assert selected(app) == "one"


async def test_what_is_deleted_gives_the_cursor_to_the_next_and_the_last_to_the_one_before() -> None:
    app = app_with("one", "two", "three")
    async with app.run_test() as pilot:
        await pilot.press("down", "d")
        await until(pilot, lambda: selected(app) == "three")
        await pilot.press("d")
        await until(pilot, lambda: selected(app) == "one")
        await pilot.press("d")
        await until(pilot, lambda: selected(app) is None)
        assert texts(app) == []
        await pilot.press("d", "space", "e", "down", "end")
        assert selected(app) is None


async def test_the_cursor_stays_on_its_todo_whatever_happens_around_it() -> None:
    app = app_with("one", "two", "three")
    async with app.run_test() as pilot:
        await pilot.press("down")
        app.todos.delete(app.todos[0].row_id)
        app.todos.add("four")
        await until(pilot, lambda: lines(app)[2] == "▌ ○ two")
        app.todos.toggle(app.todos[0].row_id)
        await until(pilot, lambda: lines(app)[4] == "▌ ✔ two")


async def test_the_cursor_goes_to_the_first_todo_that_appears() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        app.todos.add("one")
        await until(pilot, lambda: lines(app)[2] == "▌ ○ one")


async def test_the_list_scrolls_to_the_cursor() -> None:
    app = app_with(*(f"todo {number}" for number in range(100)))
    async with app.run_test(size=(40, 16)) as pilot:
        await pilot.press("end")
        await until(pilot, lambda: any(line.startswith("▌ ○ todo 99") for line in lines(app)))
        app.todos.toggle(app.todos[99].row_id)
        app.todos.toggle(app.todos[99].row_id)
        for _ in range(60):
            app.todos.delete(app.todos[0].row_id)
        await until(pilot, lambda: any(line.startswith("▌ ○ todo 99") for line in lines(app)))


async def test_the_cursor_can_be_seen_after_the_terminal_shrank() -> None:
    app = app_with(*(f"todo {number}" for number in range(15)))
    async with app.run_test(size=(40, 24)) as pilot:
        await pilot.press("end")
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: any(line.startswith("▌ ○ todo 14") for line in lines(app)))


async def test_a_line_that_is_too_long_ends_in_an_ellipsis_and_wide_characters_count_twice() -> None:
    app = app_with("x" * 100, "買" * 100)
    async with app.run_test(size=(40, 16)) as pilot:
        await pilot.pause()
        assert lines(app)[2] == f"▌ ○ {'x' * 34}…"
        assert lines(app)[3] == f"  ○ {'買' * 17}…"


async def test_a_click_moves_the_cursor_and_one_on_the_mark_toggles() -> None:
    app = app_with("one", "two", "three")
    async with app.run_test() as pilot:
        await pilot.click(TodoView, offset=(10, 1))
        assert selected(app) == "two"
        assert not app.todos[1].completed
        await pilot.click(TodoView, offset=(2, 2))
        await until(pilot, lambda: app.todos[2].completed)
        assert selected(app) == "three"
        await pilot.click(TodoView, offset=(10, 8))
        assert selected(app) == "three"
