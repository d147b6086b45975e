"""Where the extension is said to be."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from replicell.persisters.crsqlite.extension import extension_path
from replicell.persisters.crsqlite.extension.cache import ExtensionCache, cache_folder
from replicell.persisters.errors import ExtensionNotFoundError


def test_crsqlite_path_comes_first(
    cache: ExtensionCache, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.folder.mkdir(parents=True)
    cache.keep(library, source="given file", detail="", seconds=0)
    mine = tmp_path / "mine.so"
    mine.write_bytes(b"mine")
    monkeypatch.setenv("CRSQLITE_PATH", str(mine))
    assert extension_path() == mine


def test_crsqlite_path_that_names_nothing_is_an_error_and_does_not_fall_back_to_the_cache(
    cache: ExtensionCache, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.folder.mkdir(parents=True)
    cache.keep(library, source="given file", detail="", seconds=0)
    monkeypatch.setenv("CRSQLITE_PATH", str(tmp_path / "nothing.so"))
    with pytest.raises(ExtensionNotFoundError, match=r"where there is no file: correct it, or unset"):
        extension_path()


def test_what_was_installed_comes_next(cache: ExtensionCache, library: Path) -> None:
    cache.folder.mkdir(parents=True)
    cache.keep(library, source="given file", detail="", seconds=0)
    path = extension_path()
    assert path.is_relative_to(cache.folder)
    assert path.read_bytes() == library.read_bytes()


def test_with_neither_the_error_names_the_command_that_installs_it(cache: ExtensionCache) -> None:
    with pytest.raises(ExtensionNotFoundError, match="run `replicell extension install`"):
        extension_path()
    assert not cache.folder.exists()


def test_the_cache_is_below_the_users_cache_folder(
    cache: ExtensionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPLICELL_CACHE")
    assert cache_folder().is_relative_to(platformdirs.user_cache_path("replicell", appauthor=False))


def test_a_cache_given_relative_to_the_current_folder_is_made_absolute(
    cache: ExtensionCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPLICELL_CACHE", "here")
    assert cache_folder().is_relative_to(tmp_path / "here")


def test_the_extension_of_this_machine_is_found(library: Path) -> None:
    assert library.is_absolute()
    assert library.is_file()
