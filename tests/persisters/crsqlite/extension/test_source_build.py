"""The build from source, step by step, and what the real one left on this machine."""

from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension.cache import ExtensionCache, cache_folder, sha256_of
from replicell.persisters.crsqlite.extension.locate import explicit_path
from replicell.persisters.crsqlite.extension.source_build import BuiltLibrary, SourceBuild
from replicell.persisters.errors import SourceBuildError, ToolMissingError
from tests.persisters.crsqlite.extension.building_machine import BuildingMachine


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def build(tmp_path: Path, lines: list[str], machine: BuildingMachine) -> SourceBuild:
    folder = tmp_path / "workshop"
    folder.mkdir()
    return SourceBuild(folder, tmp_path / "build.log", lines.append, debian_crates=tmp_path / "crates")


def place_debian_crates(folder: Path, *, bytes_version: str) -> None:
    (folder / "crates" / f"bytes-{bytes_version}").mkdir(parents=True)


def test_a_build_leaves_the_library_and_says_what_it_was_made_with(
    build: SourceBuild, library: Path, lines: list[str]
) -> None:
    built = build.run()
    assert isinstance(built, BuiltLibrary)
    assert built.path.read_bytes() == library.read_bytes()
    assert built.detail.startswith("@vlcn.io/crsqlite@0.16.3 with Rust 1.95.0 and ")
    assert built.detail.endswith("the crates of its Cargo.lock")
    assert lines == [
        "asking for Rust's version",
        "fetching @vlcn.io/crsqlite@0.16.3 with npm",
        "fetching the crates that Cargo.lock names",
        "asking for the C compiler's headers",
        "compiling the Rust part",
        "linking it with the C part",
    ]


def test_the_source_is_patched_before_cargo_sees_it(
    build: SourceBuild, machine: BuildingMachine, tmp_path: Path
) -> None:
    build.run()
    package = tmp_path / "workshop" / "package"
    assert machine.call("cargo", "build").folder == str(package / "rs" / "bundle_static")
    assert '("main\\0", args[0].text())' in (package / "rs/core/src/lib.rs").read_text()
    assert not list(package.rglob("rust-toolchain*"))


def test_the_lock_file_of_the_package_is_kept_to(build: SourceBuild, machine: BuildingMachine) -> None:
    build.run()
    assert "--locked" in machine.call("cargo", "fetch").arguments


def test_unstable_features_are_allowed_to_the_crates_that_need_them_only(
    build: SourceBuild, machine: BuildingMachine
) -> None:
    build.run()
    call = machine.call("cargo", "build")
    assert call.environment["RUSTC_BOOTSTRAP"].split(",") == [
        "crsql_bundle",
        "crsql_core",
        "crsql_fractindex_core",
        "sqlite_nostd",
    ]
    assert call.arguments[call.arguments.index("--features") + 1] == "loadable_extension"


def test_libclang_and_the_compilers_headers_are_shown_to_bindgen(
    build: SourceBuild, machine: BuildingMachine
) -> None:
    build.run()
    environment = machine.call("cargo", "build").environment
    assert environment["LIBCLANG_PATH"] == str(machine.folder)
    assert shlex.split(environment["BINDGEN_EXTRA_CLANG_ARGS"]) == ["-isystem", "/usr/lib/headers of cc"]


def test_settings_that_would_change_the_build_are_kept_from_cargo(
    tmp_path: Path, machine: BuildingMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSTFLAGS", "-C target-cpu=native")
    monkeypatch.setenv("CARGO_TARGET_DIR", "/somewhere/else")
    (tmp_path / "w").mkdir()
    SourceBuild(tmp_path / "w", tmp_path / "log", lambda line: None).run()
    assert not {"RUSTFLAGS", "CARGO_TARGET_DIR"} & machine.call("cargo", "build").environment.keys()
    assert os.environ["RUSTFLAGS"] == "-C target-cpu=native"


def test_the_three_c_files_are_linked_with_the_static_library(
    build: SourceBuild, machine: BuildingMachine
) -> None:
    build.run()
    arguments = machine.call("cc", "-shared").arguments
    assert {"src/crsqlite.c", "src/changes-vtab.c", "src/ext-data.c", "-fPIC"} <= set(arguments)
    assert any(argument.endswith("/release/libcrsql_bundle_static.a") for argument in arguments)


def test_another_package_than_the_known_one_is_refused_and_deleted(
    build: SourceBuild, machine: BuildingMachine, tmp_path: Path
) -> None:
    (machine.bin / "package.tgz").write_bytes(b"something else")
    with pytest.raises(SourceBuildError, match=r"npm delivered another @vlcn\.io/crsqlite@0\.16\.3 than"):
        build.run()
    assert not list((tmp_path / "workshop").glob("*.tgz"))


def test_npm_without_a_network_says_what_to_do(build: SourceBuild, machine: BuildingMachine) -> None:
    (machine.bin / "package.tgz").unlink()
    with pytest.raises(SourceBuildError) as caught:
        build.run()
    assert "npm error code ENOTFOUND" in str(caught.value)
    assert "Let npm reach its registry" in str(caught.value)


def test_missing_tools_are_named_before_anything_is_done(
    build: SourceBuild, machine: BuildingMachine
) -> None:
    (machine.bin / "cc").unlink()
    with pytest.raises(ToolMissingError, match="C compiler"):
        build.run()
    assert machine.calls == []


def test_without_a_registry_debians_crates_are_taken(
    build: SourceBuild, machine: BuildingMachine, tmp_path: Path, lines: list[str]
) -> None:
    machine.go_offline()
    place_debian_crates(tmp_path, bytes_version="1.2.1")
    built = build.run()
    assert built.detail.endswith("Debian's crates")
    assert "cargo cannot fetch crates: taking Debian's packaged ones" in lines
    package = tmp_path / "workshop" / "package"
    assert not list(package.rglob("Cargo.lock"))
    configuration = tomllib.loads((package / ".cargo" / "config.toml").read_text())
    assert configuration["source"] == {
        "crates-io": {"replace-with": "debian"},
        "debian": {"directory": str(tmp_path / "crates")},
    }
    assert configuration["net"] == {"offline": True}
    assert (
        'ctypes_prefix("::core::ffi")'
        in (package / "rs/sqlite-rs-embedded/sqlite3_capi/build.rs").read_text()
    )


def test_a_debian_whose_crate_bytes_decodes_keys_wrongly_is_refused(
    build: SourceBuild, machine: BuildingMachine, tmp_path: Path
) -> None:
    machine.go_offline()
    place_debian_crates(tmp_path, bytes_version="1.10.0")
    with pytest.raises(SourceBuildError, match=r"bytes 1\.10\.0 would decode primary keys wrongly"):
        build.run()


def test_without_a_registry_and_debians_crates_the_error_names_them(
    build: SourceBuild, machine: BuildingMachine
) -> None:
    machine.go_offline()
    with pytest.raises(SourceBuildError) as caught:
        build.run()
    assert "failed to download from the registry" in str(caught.value)
    assert "apt install librust-bindgen+runtime-dev" in str(caught.value)


def test_the_extension_of_this_machine_is_recorded_with_how_it_was_made() -> None:
    if explicit_path() is not None:
        pytest.skip("CRSQLITE_PATH names the extension here, so nothing was installed")
    cache = ExtensionCache(cache_folder())
    path, record = cache.library(), cache.read_record()
    assert record.sha256 == sha256_of(path)
    assert record.version == "0.16.3"
    assert record.seconds > 0
    made = {
        "source build": "@vlcn.io/crsqlite@0.16.3 with Rust ",
        "prebuilt release": "https://",
        "given file": "/",
    }
    assert record.detail.startswith(made[record.source])
    if record.source == "source build":
        log = (cache.folder / "build.log").read_text()
        assert "build --release --features loadable_extension" in log
        assert "src/crsqlite.c src/changes-vtab.c src/ext-data.c" in log
        assert not (cache.folder / "workshop").exists()
