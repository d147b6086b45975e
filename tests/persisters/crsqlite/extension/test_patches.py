"""What is changed in cr-sqlite's source before it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension.patches import (
    DEBIAN_PATCHES,
    SOURCE_PATCHES,
    Patch,
    apply_patches,
    drop_lock_files,
    free_toolchain,
    require_safe_bytes,
    require_safe_lock,
)
from replicell.persisters.errors import SourceBuildError
from tests.persisters.crsqlite.extension.small_package import write_small_package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with the lines that the patches look for."""
    write_small_package(tmp_path / "package")
    return tmp_path / "package"


def test_the_dropped_feature_goes_and_the_others_stay(package: Path) -> None:
    apply_patches(package, SOURCE_PATCHES)
    text = (package / "rs/sqlite-rs-embedded/sqlite3_capi/src/lib.rs").read_text()
    assert text == "#![no_std]\n#![allow(non_camel_case_types)]\n\npub mod bindings {}\n"


def test_all_three_schema_names_get_their_terminator(package: Path) -> None:
    apply_patches(package, SOURCE_PATCHES)
    text = (package / "rs/core/src/lib.rs").read_text()
    assert text.count('("main\\0", args[0].text())') == 3
    assert '"main",' not in text


def test_debians_older_crates_are_accepted_after_patching(package: Path) -> None:
    apply_patches(package, DEBIAN_PATCHES)
    core = (package / "rs/core/Cargo.toml").read_text()
    assert 'bytes = { version = ">=1.2, <1.7.2", default-features = false }' in core
    for file in ("rs/core/Cargo.toml", "rs/sqlite-rs-embedded/sqlite_nostd/Cargo.toml"):
        text = (package / file).read_text()
        assert 'num-traits = { version = ">=0.2.15", default-features = false }' in text
        assert 'num-derive = ">=0.3"' in text
    assert (
        'ctypes_prefix("::core::ffi")'
        in (package / "rs/sqlite-rs-embedded/sqlite3_capi/build.rs").read_text()
    )


def test_a_patch_that_finds_its_text_too_often_or_not_at_all_is_refused(package: Path) -> None:
    apply_patches(package, SOURCE_PATCHES)
    with pytest.raises(SourceBuildError, match=r"concat_idents.* 0 times where 1 were expected"):
        apply_patches(package, SOURCE_PATCHES)
    with pytest.raises(SourceBuildError, match="3 times where 2 were expected"):
        apply_patches(package, [Patch("rs/core/src/lib.rs", "args[0]", "args[1]", 2)])


def test_a_missing_file_is_refused(package: Path) -> None:
    with pytest.raises(SourceBuildError, match=r"src/gone\.rs is missing"):
        apply_patches(package, [Patch("src/gone.rs", "a", "b")])


def test_the_pinned_toolchain_and_old_build_results_are_removed(package: Path) -> None:
    leftover = package / "rs" / "bundle" / "target" / "release"
    leftover.mkdir(parents=True)
    free_toolchain(package)
    assert not list(package.rglob("rust-toolchain*"))
    assert not (package / "rs" / "bundle" / "target").exists()
    assert (package / "rs" / "core" / "Cargo.toml").is_file()


def test_a_package_without_a_pinned_toolchain_is_not_the_expected_one(package: Path) -> None:
    free_toolchain(package)
    with pytest.raises(SourceBuildError, match="not the cr-sqlite that was expected: no rust-toolchain file"):
        free_toolchain(package)


@pytest.mark.parametrize("version", ["1.2.1", "1.5.0", "1.7.1"])
def test_bytes_before_1_7_2_decodes_keys_rightly(version: str) -> None:
    require_safe_bytes(version)


@pytest.mark.parametrize("version", ["1.7.2", "1.10.1", "2.0.0"])
def test_bytes_from_1_7_2_on_is_refused(version: str) -> None:
    with pytest.raises(SourceBuildError, match="would decode primary keys wrongly"):
        require_safe_bytes(version)


def test_the_lock_file_must_name_a_safe_bytes(package: Path) -> None:
    lock_file = package / "rs" / "bundle_static" / "Cargo.lock"
    require_safe_lock(lock_file)
    lock_file.write_text(lock_file.read_text().replace("1.5.0", "1.10.1"))
    with pytest.raises(SourceBuildError, match=r"bytes 1\.10\.1"):
        require_safe_lock(lock_file)


@pytest.mark.parametrize("text", ['[[package]]\nname = "syn"\nversion = "1.0"\n', "version = 3\n", "{"])
def test_a_lock_file_without_bytes_is_not_the_expected_one(package: Path, text: str) -> None:
    lock_file = package / "rs" / "bundle_static" / "Cargo.lock"
    lock_file.write_text(text)
    with pytest.raises(SourceBuildError, match=r"Cargo\.lock"):
        require_safe_lock(lock_file)


def test_all_lock_files_are_dropped(package: Path) -> None:
    drop_lock_files(package)
    assert not list(package.rglob("Cargo.lock"))
