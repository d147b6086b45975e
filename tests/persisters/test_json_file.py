"""A JSON file is replaced whole or not at all, watched, and never overwritten when it is broken."""

from __future__ import annotations

import json
import logging
import os
import threading
from inspect import signature as parameters
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import ContentFormatError, FileAccessError, create_json_file_persister
from replicell.persisters.files import FileWatch, Signature, replace_text, signature
from replicell.persisters.json_file import JsonFilePersister
from replicell.store import create_store
from tests.persisters.waiting_for import until, until_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "todo.json"


def content(path: Path) -> Any:
    return json.loads(read(path))


def read(path: Path) -> str:
    return path.read_text()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def is_link(path: Path) -> bool:
    return path.is_symlink()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_the_file_holds_what_a_person_can_read_and_edit(path: Path) -> None:
    store = create_store().set_row("todo", "1", {"text": "Käse", "done": True, "tags": ["a"], "n": 1.0})
    async with create_json_file_persister(store, path) as persister:
        await persister.start_auto_persisting()
        assert read(path) == '[{"todo":{"1":{"text":"Käse","done":true,"tags":["a"],"n":1.0}}},{}]'
        assert persister.get_file_path() == str(path)
        write(path, '[\n  {"todo": {"1": {"text": "Brot"}, "2": {"text": "neu"}}},\n  {"open": true}\n]')
        await until_store(store, lambda: store.get_value("open") is True)
        assert store.get_table("todo") == {"1": {"text": "Brot"}, "2": {"text": "neu"}}


async def test_what_tinybase_has_written_is_read(path: Path) -> None:
    write(path, '[{"todo":{"1":{"tags":"\ufffd[1,{\\"a\\":null}]","text":"Milk"}}},{"v":1}]')
    store = create_store()
    async with create_json_file_persister(store, path) as persister:
        await persister.load()
    assert store.get_row("todo", "1") == {"tags": [1, {"a": None}], "text": "Milk"}
    assert store.get_value("v") == 1


async def test_integers_of_any_size_and_half_surrogates_survive(path: Path) -> None:
    cells = {"big": 2**100, "half": "\ud800x"}
    store = create_store().set_row("todo", "1", cells)
    async with create_json_file_persister(store, path) as persister:
        await persister.save()
    again = create_store()
    async with create_json_file_persister(again, path) as persister:
        await persister.load()
    assert again.get_row("todo", "1") == cells


async def test_readers_never_find_a_half_written_file(path: Path) -> None:
    store = create_store().set_table("todo", {str(n): {"text": "x" * 100} for n in range(500)})
    is_over = threading.Event()
    sizes: set[int] = set()

    def read() -> None:
        while not is_over.is_set():
            if path.exists():
                sizes.add(len(content(path)[0]["todo"]))

    async with create_json_file_persister(store, path) as persister:
        await persister.start_auto_persisting()
        reader = threading.Thread(target=read)
        reader.start()
        for number in range(500, 520):
            store.set_row("todo", str(number), {"text": "y"})
            await persister.flush()
        is_over.set()
        reader.join()
    assert sizes <= set(range(500, 521))
    assert sizes
    assert [file.name for file in path.parent.iterdir()] == ["todo.json"]


def linked(path: Path, folder: Path) -> Path:
    folder.mkdir()
    target = folder / "target.json"
    target.write_text("[{},{}]")
    target.chmod(0o640)
    path.symlink_to(target)
    return target


async def test_a_symbolic_link_stays_one_and_permissions_stay(path: Path, tmp_path: Path) -> None:
    target = linked(path, tmp_path / "real")
    store = create_store().set_value("a", 1)
    async with create_json_file_persister(store, path) as persister:
        await persister.save()
    assert is_link(path)
    assert content(target) == [{}, {"a": 1}]
    assert mode(target) == 0o640


async def test_a_new_file_has_the_permissions_that_any_new_file_gets(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", "")
    async with create_json_file_persister(create_store().set_value("a", 1), path) as persister:
        await persister.save()
    assert mode(path) == mode(tmp_path / "other")


def test_the_file_is_looked_at_often_enough_to_notice_a_change_within_50_ms() -> None:
    assert parameters(JsonFilePersister).parameters["poll_interval"].default <= 0.05


def test_another_programs_change_is_told_at_the_first_look_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = (1, 1, 1), (2, 2, 2)
    looks: list[Signature] = []
    told: list[tuple[Signature, int]] = []
    is_over = threading.Event()

    def look(_: Path) -> Signature:
        looks.append(before if len(looks) < 3 else after)
        if len(looks) == 6:
            is_over.set()
        return looks[-1]

    monkeypatch.setattr("replicell.persisters.files.signature", look)
    watch = FileWatch(path, 0.001, lambda seen: told.append((seen, len(looks))))
    assert is_over.wait(10)
    watch.stop()
    assert told == [(after, 4)]


async def test_its_own_writes_are_not_loaded(path: Path) -> None:
    store = create_store().set_value("a", 0)
    async with create_json_file_persister(store, path, poll_interval=0.001) as persister:
        await persister.start_auto_persisting()
        for number in range(20):
            store.set_value("a", number)
            await persister.flush()
        write(path, '[{},{"b":1}]')
        await until_store(store, lambda: store.get_value("b") == 1)
        assert persister.get_stats() == {"loads": 2, "saves": 20}


BROKEN = (
    "{", "[1,2]", '{"todo": {}}', '[{"todo": {"1": 5}}, {}]', "[{}, []]", "[{},{},{}]", "null", "\ufffd"
)  # fmt: skip
MERGEABLE = '[[{"t":[{"1":[{"a":["x","Nl",1]},"",0]},"",0]},"",0],[{},"",0]]'


@pytest.mark.parametrize(
    ("text", "reason"), [*((text, "") for text in BROKEN), (MERGEABLE, ".*MergeableStore")]
)
async def test_a_file_that_holds_no_plain_store_is_reported_and_never_overwritten(
    path: Path, text: str, reason: str
) -> None:
    write(path, text)
    async with create_json_file_persister(create_store().set_value("a", 1), path) as persister:
        with pytest.raises(ContentFormatError, match=rf"todo\.json {reason}.*left as it is"):
            await persister.load()
        with pytest.raises(ContentFormatError, match=rf"todo\.json {reason}.*left as it is"):
            await persister.save()
    assert read(path) == text


async def test_text_that_is_not_utf_8_is_reported(path: Path) -> None:
    with open(path, "wb") as file:  # noqa: ASYNC230 - a few bytes
        file.write(b"[{},{\xff}]")
    async with create_json_file_persister(create_store(), path) as persister:
        with pytest.raises(ContentFormatError, match="is not UTF-8"):
            await persister.load()


async def test_saving_goes_on_when_a_broken_file_was_repaired(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    store = create_store().set_value("a", 1)
    async with create_json_file_persister(
        store, path, on_error=errors.append, retry_delay=0.002, max_retry_delay=0.01
    ) as persister:
        await persister.start_auto_persisting()
        write(path, "[broken")
        store.set_value("a", 2)
        await until(lambda: errors)
        write(path, '[{},{"a":1,"b":"repaired"}]')
        await until(lambda: content(path) == [{}, {"a": 2, "b": "repaired"}])
        await until_store(store, lambda: store.get_values() == {"a": 2, "b": "repaired"})


async def test_a_file_that_was_deleted_deletes_nothing_and_is_written_again(path: Path) -> None:
    store = create_store().set_values({"a": 1, "b": 2})
    async with create_json_file_persister(store, path) as persister:
        await persister.start_auto_persisting()
        os.unlink(path)
        await persister.load()
        assert store.get_values() == {"a": 1, "b": 2}
        store.set_value("a", 3)
        await persister.flush()
    assert content(path) == [{}, {"a": 3, "b": 2}]


async def test_what_a_killed_program_left_half_written_is_cleared_away_by_the_next_save(path: Path) -> None:
    write(path, '[{},{"a":1}]')
    for name in (
        ".todo.json.0123456789abcdef.tmp",
        ".todo.json.notes.tmp",
        ".other.json.0123456789abcdef.tmp",
    ):
        write(path.with_name(name), "[{},{")
    store = create_store()
    async with create_json_file_persister(store, path) as persister:
        await persister.start_auto_persisting()
        store.set_value("a", 2)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        ".other.json.0123456789abcdef.tmp",
        ".todo.json.notes.tmp",
        "todo.json",
    ]


async def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    persister = create_json_file_persister(create_store().set_value("a", 1), tmp_path / "no" / "todo.json")
    async with persister:
        with pytest.raises(FileAccessError, match="cannot be written"):
            await persister.save()


def test_a_failed_replacement_leaves_the_old_text_and_nothing_else(path: Path) -> None:
    write(path, "old")

    def fail(_: object) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        replace_text(path, "new", fail)
    assert read(path) == "old"
    assert list(path.parent.iterdir()) == [path]
    announced: list[Signature] = []
    replace_text(path, "new", announced.append)
    assert announced == [signature(path)]


def test_options_that_make_no_sense_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="poll_interval must be positive"):
        create_json_file_persister(create_store(), path, poll_interval=0)
