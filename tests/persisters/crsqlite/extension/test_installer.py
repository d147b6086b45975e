"""Which source the installer takes, and what it does when that one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension import (
    Installation,
    InstallOptions,
    check_extension,
    extension_path,
    install,
)
from replicell.persisters.crsqlite.extension.cache import ExtensionCache
from replicell.persisters.crsqlite.extension.prebuilt import Patience
from replicell.persisters.crsqlite.extension.release import Platform
from replicell.persisters.errors import (
    ExtensionCheckError,
    ExtensionNotFoundError,
    ExtensionOptionsError,
    ReleaseRefusedError,
    ReleaseUnavailableError,
    SourceBuildError,
    ToolMissingError,
)
from tests.persisters.crsqlite.extension.building_machine import BuildingMachine
from tests.persisters.crsqlite.extension.conftest import ReleaseServer, sha256, zipped

pytestmark = pytest.mark.usefixtures("cache")

QUICK = Patience(connect=2.0, stall=2.0, whole=20.0)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def release(
    cache: ExtensionCache, server: ReleaseServer, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> ReleaseServer:
    """A release server with a good archive, set as the place of releases."""
    server.serve(archive)
    monkeypatch.setenv("CRSQLITE_RELEASES_URL", server.url)
    monkeypatch.setenv("CRSQLITE_SHA256", sha256(archive))
    return server


@pytest.fixture
def unreachable(cache: ExtensionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """No release server answers."""
    monkeypatch.setenv("CRSQLITE_RELEASES_URL", "http://127.0.0.1:9")


def nothing_is_left(cache: ExtensionCache) -> bool:
    return {path.name for path in cache.folder.iterdir()} <= {"install.lock", "build.log"}


# The order of the sources


@pytest.mark.usefixtures("no_tools")
def test_the_prebuilt_release_is_taken_checked_and_kept(
    cache: ExtensionCache, release: ReleaseServer, lines: list[str]
) -> None:
    installation = install(report=lines.append)
    assert installation.source == "prebuilt release"
    assert installation.fresh
    assert installation.path == extension_path()
    assert cache.read_record().detail == f"{release.url}/{Platform.current().archive}"
    assert lines == [
        f"downloading {release.url}/{Platform.current().archive}",
        "checking the prebuilt library",
    ]
    assert check_extension(extension_path()).version == 160300


@pytest.mark.usefixtures("no_tools")
def test_what_was_installed_before_is_taken_without_asking_anybody(release: ReleaseServer) -> None:
    first = install()
    again = install()
    assert again == Installation(first.path, "prebuilt release", again.detail, fresh=False)
    assert len(release.requests) == 1


@pytest.mark.usefixtures("no_tools")
def test_crsqlite_path_comes_before_everything(
    release: ReleaseServer, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    monkeypatch.setenv("CRSQLITE_PATH", str(library))
    installation = install()
    assert (installation.path, installation.source) == (library, "CRSQLITE_PATH")
    assert len(release.requests) == 1


def test_crsqlite_path_to_a_library_that_does_not_work_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("not a library")
    monkeypatch.setenv("CRSQLITE_PATH", str(broken))
    with pytest.raises(ExtensionCheckError, match="could not be loaded"):
        install()


def test_crsqlite_path_to_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRSQLITE_PATH", str(tmp_path / "nothing.so"))
    with pytest.raises(ExtensionNotFoundError, match="where there is no file"):
        install()


def test_the_user_is_told_when_crsqlite_path_hides_what_was_just_installed(
    cache: ExtensionCache, library: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRSQLITE_PATH", str(library))
    install(InstallOptions(path=library), report=lines.append)
    assert lines[0].startswith(f"CRSQLITE_PATH is set to {library} and stays in force")
    assert cache.library().read_bytes() == library.read_bytes()


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_release_leads_on_to_the_source_build(
    machine: BuildingMachine, lines: list[str]
) -> None:
    installation = install(InstallOptions(sha256="0" * 64), report=lines.append)
    assert installation.source == "source build"
    assert installation.detail.startswith("@vlcn.io/crsqlite@0.16.3 with Rust 1.95.0")
    assert "cannot be had: Connection refused" in lines[1]
    assert lines[2] == "building from source instead"
    assert lines[-1] == "checking the built library"
    assert check_extension(extension_path()).version == 160300


@pytest.mark.usefixtures("machine")
def test_a_release_that_is_not_there_leads_on_to_the_source_build(release: ReleaseServer) -> None:
    release.answer = release.not_found
    assert install().source == "source build"


@pytest.mark.usefixtures("machine")
def test_a_release_that_does_not_run_here_leads_on_to_the_source_build(
    release: ReleaseServer, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = zipped({Platform.current().library: b"for another machine"})
    release.serve(other)
    monkeypatch.setenv("CRSQLITE_SHA256", sha256(other))
    assert install(report=lines.append).source == "source build"
    assert any("is not a working cr-sqlite" in line for line in lines)


@pytest.mark.usefixtures("machine")
def test_a_platform_without_a_pinned_checksum_is_built_from_source(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Platform, "archive_sha256", None)
    assert install(report=lines.append).source == "source build"
    assert "give the one you trust with --sha256 or CRSQLITE_SHA256" in lines[0]


# Refusals


@pytest.mark.usefixtures("machine")
def test_a_wrong_checksum_is_refused_and_does_not_lead_on(
    cache: ExtensionCache, release: ReleaseServer, lines: list[str]
) -> None:
    with pytest.raises(ReleaseRefusedError, match="--from-source"):
        install(InstallOptions(sha256="0" * 64), report=lines.append)
    assert nothing_is_left(cache)
    assert "building from source instead" not in lines


@pytest.mark.usefixtures("machine")
def test_a_truncated_release_is_refused_and_does_not_lead_on(
    cache: ExtensionCache, release: ReleaseServer, archive: bytes
) -> None:
    release.serve(archive[:-10], announced=len(archive))
    with pytest.raises(ReleaseRefusedError, match="truncated"):
        install()
    assert nothing_is_left(cache)


@pytest.mark.usefixtures("no_tools", "unreachable")
def test_with_no_release_and_no_tools_the_tools_are_named(cache: ExtensionCache, lines: list[str]) -> None:
    with pytest.raises(ToolMissingError, match=r"cargo \(install Rust"):
        install(report=lines.append)
    assert nothing_is_left(cache)


def test_a_build_whose_result_does_not_work_is_not_kept(
    cache: ExtensionCache, machine: BuildingMachine
) -> None:
    (machine.bin / "library").write_bytes(b"rubbish")
    with pytest.raises(SourceBuildError, match=r"its result is of no use .*build\.log"):
        install(InstallOptions(from_source=True))
    assert nothing_is_left(cache)


# What the user asks for


@pytest.mark.usefixtures("unreachable", "machine")
def test_prebuilt_only_fails_rather_than_builds() -> None:
    with pytest.raises(ReleaseUnavailableError, match="cannot be had"):
        install(InstallOptions(prebuilt_only=True, patience=QUICK))


@pytest.mark.usefixtures("machine")
def test_from_source_asks_no_release_server(release: ReleaseServer) -> None:
    assert install(InstallOptions(from_source=True)).source == "source build"
    assert release.requests == []


@pytest.mark.usefixtures("machine")
def test_from_source_replaces_a_prebuilt_library_but_not_a_built_one(release: ReleaseServer) -> None:
    install()
    assert install(InstallOptions(from_source=True)).fresh
    assert not install(InstallOptions(from_source=True)).fresh


@pytest.mark.usefixtures("no_tools")
def test_force_gets_it_anew(release: ReleaseServer) -> None:
    install()
    assert install(InstallOptions(force=True)).fresh
    assert len(release.requests) == 2


def test_a_given_file_is_checked_and_copied(cache: ExtensionCache, library: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.so"
    mine.write_bytes(library.read_bytes())
    assert install(InstallOptions(path=mine)).source == "given file"
    mine.unlink()
    assert check_extension(extension_path()).version == 160300
    assert cache.read_record().detail == str(mine)


def test_a_given_file_that_does_not_work_leaves_what_was_installed(library: Path, tmp_path: Path) -> None:
    before = install(InstallOptions(path=library)).path
    mine = tmp_path / "mine.so"
    mine.write_text("not a library")
    with pytest.raises(ExtensionCheckError):
        install(InstallOptions(path=mine))
    assert extension_path() == before


def test_a_given_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExtensionNotFoundError, match="There is no file"):
        install(InstallOptions(path=tmp_path / "nothing.so"))


def test_options_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ExtensionOptionsError, match="--from-source and --prebuilt-only exclude each other"):
        InstallOptions(from_source=True, prebuilt_only=True)
    with pytest.raises(ExtensionOptionsError, match="--from-source uses none"):
        InstallOptions(from_source=True, sha256="0" * 64)
    with pytest.raises(ExtensionOptionsError, match="64 hexadecimal digits"):
        install(InstallOptions(sha256="abc"))


# Damage and company


@pytest.mark.usefixtures("no_tools")
def test_a_damaged_library_is_noticed_and_got_anew(
    cache: ExtensionCache, release: ReleaseServer, lines: list[str]
) -> None:
    install().path.write_bytes(b"damaged")
    assert install(report=lines.append).fresh
    assert lines[0].startswith("getting it anew: ")
    assert check_extension(extension_path()).version == 160300


@pytest.mark.usefixtures("no_tools")
def test_a_damaged_record_is_noticed_and_written_anew(cache: ExtensionCache, release: ReleaseServer) -> None:
    install()
    (cache.folder / "installed.json").write_text("{")
    assert install().fresh
    assert cache.read_record().source == "prebuilt release"


@pytest.mark.usefixtures("no_tools")
def test_what_a_killed_installer_left_does_no_harm(cache: ExtensionCache, release: ReleaseServer) -> None:
    (cache.folder / "workshop" / "package").mkdir(parents=True)
    (cache.folder / "workshop" / Platform.current().archive).write_bytes(b"half")
    assert install().source == "prebuilt release"
    assert not (cache.folder / "workshop").exists()


def test_several_processes_at_once_download_it_once(release: ReleaseServer) -> None:
    program = (
        "from replicell.persisters.crsqlite.extension import install; installation = install(); "
        "print(installation.fresh, installation.path)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        for _ in range(4)
    ]
    answers = sorted(process.communicate(timeout=50)[0].split() for process in processes)
    path = str(extension_path())
    assert answers == [["False", path]] * 3 + [["True", path]]
    assert len(release.requests) == 1


def test_the_extension_of_this_machine_goes_through_install_path_and_check(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPLICELL_CACHE")
    if extension_path() != library:
        monkeypatch.setenv("CRSQLITE_PATH", str(library))
    installation = install()
    assert not installation.fresh
    assert installation.path == extension_path() == library
    assert check_extension(extension_path()).keys > 400
