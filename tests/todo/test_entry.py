from __future__ import annotations

from textual import events
from textual.widgets import Input

from replicell.todo.app import TodoApp
from replicell.todo.view import TodoView
from tests.todo.screen import app_with, line, lines, selected, texts, type_in, until


async def test_an_empty_list_waits_for_the_first_todo() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        await type_in(pilot, "Buy milk")
        await until(pilot, lambda: texts(app) == ["Buy milk"])
        assert line(app) == ""


async def test_several_todos_can_be_typed_one_after_the_other_and_the_cursor_follows() -> None:
    app = app_with("old")
    async with app.run_test() as pilot:
        await pilot.press("a")
        await type_in(pilot, "Buy milk")
        await type_in(pilot, "Do what q a d s do")
        await until(pilot, lambda: texts(app) == ["old", "Buy milk", "Do what q a d s do"])
        await until(pilot, lambda: selected(app) == "Do what q a d s do")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, TodoView))


async def test_a_blank_line_adds_nothing() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        await type_in(pilot, "  ")
        assert texts(app) == []


async def test_what_is_typed_waits_while_the_user_is_in_the_list() -> None:
    app = app_with("old")
    async with app.run_test() as pilot:
        await pilot.press("a")
        await type_in(pilot, "half a tod", and_press="escape")
        await until(pilot, lambda: isinstance(app.focused, TodoView))
        await pilot.press("space", "a")
        await type_in(pilot, "o")
        await until(pilot, lambda: texts(app) == ["half a todo", "old"])


async def test_edit_changes_the_text_and_returns_to_the_list() -> None:
    app = app_with("one", "two")
    async with app.run_test() as pilot:
        await pilot.press("down", "e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        assert line(app) == "two"
        await type_in(pilot, " and a half")
        await until(pilot, lambda: texts(app) == ["one", "two and a half"])
        await until(pilot, lambda: isinstance(app.focused, TodoView))
        assert line(app) == ""


async def test_escape_gives_an_edit_up() -> None:
    app = app_with("one")
    async with app.run_test() as pilot:
        await pilot.press("e")
        await type_in(pilot, " and more", and_press="escape")
        await until(pilot, lambda: isinstance(app.focused, TodoView))
        assert texts(app) == ["one"]
        assert line(app) == ""


async def test_an_edit_to_nothing_leaves_the_todo_as_it_was() -> None:
    app = app_with("one")
    async with app.run_test() as pilot:
        await pilot.press("e", "ctrl+u", "enter")
        await until(pilot, lambda: isinstance(app.focused, TodoView))
        assert texts(app) == ["one"]


async def test_a_new_todos_text_waits_while_another_is_edited() -> None:
    app = app_with("one")
    async with app.run_test() as pilot:
        await pilot.press("a")
        await type_in(pilot, "half", and_press="escape")
        await pilot.press("e")
        await type_in(pilot, "!")
        await until(pilot, lambda: texts(app) == ["one!"])
        assert line(app) == "half"


async def test_the_text_of_a_todo_that_was_deleted_meanwhile_becomes_a_new_one() -> None:
    app = app_with("one", "two")
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("e")
        app.todos.clear()
        await type_in(pilot, ", a lot of work")
        await until(pilot, lambda: texts(app) == ["one, a lot of work"])
        await until(pilot, lambda: selected(app) == "one, a lot of work")
        await until(pilot, lambda: any("had been deleted" in each for each in lines(app)))


async def test_an_edit_that_changed_nothing_does_not_undo_what_another_replica_wrote() -> None:
    app = app_with("one")
    async with app.run_test() as pilot:
        await pilot.press("e")
        app.todos.rename(app.todos[0].row_id, "theirs")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, TodoView))
        assert texts(app) == ["theirs"]


async def test_of_several_pasted_lines_none_is_lost() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        app.post_message(events.Paste("Buy milk,\n  bread\n"))
        await pilot.press("enter")
        await until(pilot, lambda: texts(app) == ["Buy milk, bread"])


class TestTypingFast:
    """A terminal may hand over many keys at once; each has to find the screen as the one before left it."""

    async def test_enter_does_not_overtake_the_letters_before_it(self) -> None:
        app = app_with()
        async with app.run_test() as pilot:
            burst(app, *"Buy", "space", *"milk", "enter", *"half")
            await until(pilot, lambda: texts(app) == ["Buy milk"] and line(app) == "half")

    async def test_keys_that_edit_do_not_overtake_or_fall_behind(self) -> None:
        app = app_with()
        async with app.run_test() as pilot:
            burst(app, *"Buyy", "backspace", "home", *"1.", "end", *"!", "enter", *"x")
            await until(pilot, lambda: texts(app) == ["1.Buy!"] and line(app) == "x")

    async def test_the_letters_after_a_are_no_commands(self) -> None:
        app = app_with("one", "two")
        async with app.run_test() as pilot:
            burst(app, "a", *"dsqD", "enter", "escape", "j", "d", "d", "a", *"last", "escape", "q")
            await until(pilot, lambda: not app.is_running)
        assert texts(app) == ["one", "last"]

    async def test_an_edit_begins_and_ends_in_its_place(self) -> None:
        app = app_with("one", "two")
        async with app.run_test() as pilot:
            burst(app, "j", "e", *"d!", "enter", "d", "e", *"d?", "enter")
            await until(pilot, lambda: texts(app) == ["oned?"])

    async def test_the_answer_to_the_question_may_be_typed_before_it_is_read(self) -> None:
        app = app_with("one", "two")
        async with app.run_test() as pilot:
            burst(app, "D", "y", "a", *"new", "enter")
            await until(pilot, lambda: texts(app) == ["new"])

    async def test_quitting_waits_for_the_letters_before_it(self) -> None:
        app = app_with()
        async with app.run_test() as pilot:
            burst(app, *"half", "ctrl+c")
            await until(pilot, lambda: not app.is_running)
        assert texts(app) == ["half"]


def burst(app: TodoApp, *keys: str) -> None:
    """Hand over keys as one read from a terminal does: all before the first is dealt with."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else " " if key == "space" else None))
