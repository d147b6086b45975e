"""Where libclang is looked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension import libclang
from replicell.persisters.crsqlite.extension.libclang import find_libclang, system_libclang
from replicell.persisters.crsqlite.extension.tools import ToolRunner
from replicell.persisters.errors import ToolMissingError


def place(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    return folder


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def runner(tmp_path: Path, lines: list[str]) -> ToolRunner:
    return ToolRunner(tmp_path / "build.log", lines.append)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No libclang in the environment, the system or this Python."""
    monkeypatch.delenv("LIBCLANG_PATH", raising=False)
    monkeypatch.setattr(libclang, "_SYSTEM_FOLDERS", ())
    monkeypatch.setitem(sys.modules, "clang", None)


@pytest.mark.parametrize(
    "name", ["libclang.so", "libclang.so.1", "libclang-14.so.1", "libclang-14.so.14.0.6", "libclang.dylib"]
)
def test_the_systems_names_of_libclang_are_known(tmp_path: Path, name: str) -> None:
    folder = place(tmp_path / "lib", name)
    assert system_libclang([str(folder)]) == folder


@pytest.mark.parametrize("name", ["libclang-cpp.so.14", "libclang-cpp.so", "libclangd.so", "libclang.a"])
def test_other_libraries_with_similar_names_are_not_taken(tmp_path: Path, name: str) -> None:
    folder = place(tmp_path / "lib", name)
    assert system_libclang([str(folder)]) is None


def test_the_newest_version_wins(tmp_path: Path) -> None:
    for version in (9, 14, 13):
        place(tmp_path / f"llvm-{version}" / "lib", "libclang.so.1")
    place(tmp_path / "llvm-15" / "lib", "libclang-cpp.so.15")
    assert system_libclang([str(tmp_path / "llvm-*" / "lib")]) == tmp_path / "llvm-14" / "lib"


def test_libclang_path_comes_first_as_folder_or_file(
    runner: ToolRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place(tmp_path / "mine", "libclang.so")
    for value in (folder, folder / "libclang.so"):
        monkeypatch.setenv("LIBCLANG_PATH", str(value))
        assert find_libclang(runner, tmp_path / "private") == folder


@pytest.mark.usefixtures("bare_machine")
def test_a_libclang_installed_beside_replicell_is_used(
    runner: ToolRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = place(tmp_path / "site" / "clang" / "native", "libclang.so")
    for package in (native, native.parent):
        (package / "__init__.py").write_text("")
    monkeypatch.delitem(sys.modules, "clang")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    try:
        assert find_libclang(runner, tmp_path / "private") == native
    finally:
        for name in ("clang", "clang.native"):
            sys.modules.pop(name, None)


@pytest.mark.usefixtures("bare_machine")
def test_without_pip_and_uv_the_error_says_how_to_get_libclang(
    runner: ToolRunner, tmp_path: Path, no_tools: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"no pip.*apt install libclang-dev"):
        find_libclang(runner, tmp_path / "private")


@pytest.mark.usefixtures("bare_machine")
def test_when_pypi_cannot_be_had_the_error_says_how_to_get_libclang(
    runner: ToolRunner, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ToolMissingError, match=r"could not be had either.*apt install libclang-dev"):
        find_libclang(runner, tmp_path / "private")
    assert lines[0] == "getting libclang from PyPI"
    assert "libclang" in runner.log.read_text()
