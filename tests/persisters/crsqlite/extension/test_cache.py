"""The folder that keeps the installed extension."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension.cache import ExtensionCache, sha256_of
from replicell.persisters.errors import ExtensionDamagedError, ExtensionError, ExtensionNotFoundError


@pytest.fixture
def cache(tmp_path: Path) -> ExtensionCache:
    folder = tmp_path / "cache"
    folder.mkdir()
    return ExtensionCache(folder)


def keep(cache: ExtensionCache, content: bytes) -> Path:
    file = cache.folder.parent / "new"
    file.write_bytes(content)
    cache.keep(file, source="given file", detail="from a test", seconds=1.26)
    return cache.library()


def ignore(line: str) -> None:
    """Take no notice of progress."""


def test_a_kept_library_is_found_with_its_record(cache: ExtensionCache) -> None:
    path = keep(cache, b"a library")
    record = cache.read_record()
    assert path.read_bytes() == b"a library"
    assert (record.sha256, record.size) == (sha256_of(path), 9)
    assert (record.source, record.detail, record.seconds) == ("given file", "from a test", 1.3)


def test_keeping_another_leaves_the_first_in_place_for_those_who_have_it_open(cache: ExtensionCache) -> None:
    first = keep(cache, b"first")
    second = keep(cache, b"second")
    assert first.read_bytes() == b"first"
    assert second.read_bytes() == b"second"
    assert cache.library() == second


def test_an_empty_cache_has_no_library(cache: ExtensionCache) -> None:
    with pytest.raises(ExtensionNotFoundError, match="is not installed"):
        cache.library()


@pytest.mark.parametrize("damage", [b"a librarY", b"a libr", b""], ids=["changed", "cut short", "emptied"])
def test_a_library_that_is_not_the_one_that_was_kept_is_noticed(cache: ExtensionCache, damage: bytes) -> None:
    keep(cache, b"a library").write_bytes(damage)
    with pytest.raises(ExtensionDamagedError, match="is not the file that was installed"):
        cache.library()


def test_a_library_that_is_gone_is_noticed(cache: ExtensionCache) -> None:
    keep(cache, b"a library").unlink()
    with pytest.raises(ExtensionDamagedError, match="is gone"):
        cache.library()


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"library": "x"}', b"\xff"])
def test_a_record_that_cannot_be_understood_is_noticed(cache: ExtensionCache, record: bytes) -> None:
    keep(cache, b"a library")
    (cache.folder / "installed.json").write_bytes(record)
    with pytest.raises(ExtensionDamagedError, match="record"):
        cache.library()


def test_keeping_the_same_library_again_mends_a_damaged_copy(cache: ExtensionCache) -> None:
    keep(cache, b"a library").write_bytes(b"broken")
    assert keep(cache, b"a library").read_bytes() == b"a library"


def test_nothing_half_written_is_left_beside_it(cache: ExtensionCache) -> None:
    keep(cache, b"a library")
    assert {path.name for path in cache.folder.iterdir() if path.is_file()} == {"installed.json"}


def test_a_second_installer_says_that_it_waits_and_goes_on_when_the_first_is_done(
    cache: ExtensionCache,
) -> None:
    waiting, order = threading.Event(), list[str]()

    def second() -> None:
        with cache.lock(lambda line: waiting.set()):
            order.append("second")

    thread = threading.Thread(target=second)
    with cache.lock(ignore):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_cache_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with (
        pytest.raises(ExtensionError, match="set REPLICELL_CACHE to a folder that can"),
        ExtensionCache(blocked / "cache").lock(ignore),
    ):
        raise AssertionError("the lock was held")
