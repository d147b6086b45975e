"""Make the extension available on this machine: take the first source that has it, and say which."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from replicell.persisters.crsqlite.extension.cache import ExtensionCache, InstalledExtension, cache_folder
from replicell.persisters.crsqlite.extension.check import check_extension
from replicell.persisters.crsqlite.extension.locate import PATH_VARIABLE, explicit_path
from replicell.persisters.crsqlite.extension.prebuilt import (
    Patience,
    download_release,
    parse_sha256,
    unpack_release,
)
from replicell.persisters.crsqlite.extension.release import RELEASES_URL, Platform
from replicell.persisters.crsqlite.extension.source_build import SourceBuild
from replicell.persisters.errors import (
    ExtensionCheckError,
    ExtensionDamagedError,
    ExtensionNotFoundError,
    ExtensionOptionsError,
    ReleaseUnavailableError,
    SourceBuildError,
)

__all__ = [
    "RELEASES_URL_VARIABLE",
    "SHA256_VARIABLE",
    "InstallOptions",
    "Installation",
    "install",
]

SHA256_VARIABLE = "CRSQLITE_SHA256"
RELEASES_URL_VARIABLE = "CRSQLITE_RELEASES_URL"

GIVEN_FILE = "given file"
PREBUILT = "prebuilt release"
SOURCE_BUILD = "source build"

logger = logging.getLogger("replicell.persisters.crsqlite.extension")


@dataclass(frozen=True)
class InstallOptions:
    """What the user asks of the installer.

    Args:
        path: a library to check and copy into the cache, instead of getting one.
        from_source: build it, whatever prebuilt releases there are.
        prebuilt_only: take the prebuilt release or fail.
        sha256: the checksum the release archive must have, for platforms without a pinned one;
            ``CRSQLITE_SHA256`` where it is not given.
        force: get it anew although it is installed.
        releases_url: where the release archives are; ``CRSQLITE_RELEASES_URL`` where it is not given, and
            the project's own address where neither is.
        patience: when a download is given up.
    """

    path: Path | None = None
    from_source: bool = False
    prebuilt_only: bool = False
    sha256: str | None = None
    force: bool = False
    releases_url: str | None = None
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        chosen = [
            name
            for name, given in (
                ("--path", self.path is not None),
                ("--from-source", self.from_source),
                ("--prebuilt-only", self.prebuilt_only),
            )
            if given
        ]
        if len(chosen) > 1:
            raise ExtensionOptionsError(
                f"The options {' and '.join(chosen)} exclude each other: give one of them."
            )
        if self.sha256 is not None and (self.path is not None or self.from_source):
            raise ExtensionOptionsError(
                f"A SHA-256 is compared with the prebuilt release, and {chosen[0]} uses none: leave it out."
            )

    @property
    def wanted_source(self) -> str | None:
        """The only source that will do, or None where any will."""
        if self.from_source:
            return SOURCE_BUILD
        return PREBUILT if self.prebuilt_only else None


@dataclass(frozen=True)
class Installation:
    """An extension that is ready, and how it came to be.

    Args:
        path: the library.
        source: ``CRSQLITE_PATH``, ``given file``, ``prebuilt release`` or ``source build``.
        detail: more about the source, for people.
        fresh: True when it was got by this call, False when it was there before.
    """

    path: Path
    source: str
    detail: str
    fresh: bool


def install(
    options: InstallOptions = InstallOptions(), *, report: Callable[[str], None] = logger.info
) -> Installation:
    """Make the cr-sqlite extension available to ``extension_path()``, and tell where it was taken from.

    The sources, in this order: the file that ``CRSQLITE_PATH`` names; the one installed before; the
    official prebuilt release, compared with its pinned SHA-256; a build from the npm source package. A
    library is kept only after a process of its own has merged with it. Several processes may call this at
    once: one installs, the others wait and take what it left.

    A release that cannot be reached, or does not run on this machine, leads on to the source build. One
    that is truncated or has another checksum does not: that is refused, because it may mean tampering.

    Args:
        options: what was asked for.
        report: is told, in short lines, what is going on.

    Raises:
        ExtensionOptionsError: the options exclude each other.
        ExtensionNotFoundError: the file that was named is not there.
        ExtensionCheckError: the library that was named or built does not work.
        ReleaseUnavailableError: only the prebuilt release was asked for, and it cannot be had.
        ReleaseRefusedError: the release was not what it should be.
        SourceBuildError: the build failed, or a tool for it is missing.
    """
    explicit = explicit_path()
    if explicit is not None and not (options.path or options.wanted_source or options.force):
        check_extension(explicit)
        return Installation(explicit, PATH_VARIABLE, f"{PATH_VARIABLE} names it", fresh=False)
    if explicit is not None:
        report(
            f"{PATH_VARIABLE} is set to {explicit} and stays in force; unset it to use what is installed now"
        )
    return _Installer(ExtensionCache(cache_folder()), options, report).run()


class _Installer:
    def __init__(self, cache: ExtensionCache, options: InstallOptions, report: Callable[[str], None]) -> None:
        self._cache = cache
        self._options = options
        self._report = report
        self._platform = Platform.current()

    def run(self) -> Installation:
        if not self._must_get() and (ready := self._installed_before()):
            return ready
        with self._cache.lock(self._report):
            if not self._must_get() and (ready := self._installed_before()):
                return ready
            return self._get()

    def _must_get(self) -> bool:
        return self._options.force or self._options.path is not None

    def _installed_before(self) -> Installation | None:
        try:
            path, record = self._cache.library(), self._cache.read_record()
        except ExtensionDamagedError as error:
            self._report(f"getting it anew: {error}")
            return None
        except ExtensionNotFoundError:
            return None
        if self._options.wanted_source not in (None, record.source):
            return None
        return Installation(path, record.source, record.detail, fresh=False)

    def _get(self) -> Installation:
        started = time.monotonic()
        with _workshop(self._cache.folder) as workshop:
            library, source, detail = self._first_that_has_it(workshop)
            record = self._cache.keep(
                library, source=source, detail=detail, seconds=time.monotonic() - started
            )
        return Installation(self._cache.library(), record.source, self._describe(record), fresh=True)

    def _describe(self, record: InstalledExtension) -> str:
        return f"{record.detail}, in {record.seconds:.1f} s"

    def _first_that_has_it(self, workshop: Path) -> tuple[Path, str, str]:
        if self._options.path is not None:
            return self._given_file(self._options.path), GIVEN_FILE, str(self._options.path.absolute())
        if self._options.from_source:
            return self._source_build(workshop)
        try:
            return self._prebuilt(workshop)
        except (ReleaseUnavailableError, ExtensionCheckError) as error:
            if self._options.prebuilt_only:
                raise
            self._report(str(error))
            self._report("building from source instead")
            return self._source_build(workshop)

    def _given_file(self, path: Path) -> Path:
        if not path.is_file():
            raise ExtensionNotFoundError(
                f"There is no file {path} to install: give the path of a cr-sqlite library."
            )
        self._report(f"checking {path}")
        check_extension(path)
        return path

    def _prebuilt(self, workshop: Path) -> tuple[Path, str, str]:
        releases_url = self._options.releases_url or os.environ.get(RELEASES_URL_VARIABLE) or RELEASES_URL
        archive = download_release(
            workshop,
            platform=self._platform,
            sha256=self._expected_sha256(),
            releases_url=releases_url,
            patience=self._options.patience,
            report=self._report,
        )
        library = unpack_release(archive, self._platform.library)
        self._report("checking the prebuilt library")
        check_extension(library)
        return library, PREBUILT, f"{releases_url.rstrip('/')}/{self._platform.archive}"

    def _expected_sha256(self) -> str:
        given = self._options.sha256 or os.environ.get(SHA256_VARIABLE)
        if given:
            return parse_sha256(given)
        if (pinned := self._platform.archive_sha256) is None:
            raise ReleaseUnavailableError(
                f"No SHA-256 is pinned for the prebuilt release on {self._platform.name}: "
                f"give the one you trust with --sha256 or {SHA256_VARIABLE} to use it."
            )
        return pinned

    def _source_build(self, workshop: Path) -> tuple[Path, str, str]:
        log = self._cache.folder / "build.log"
        log.write_bytes(b"")
        built = SourceBuild(workshop, log, self._report).run()
        self._report("checking the built library")
        try:
            check_extension(built.path)
        except ExtensionCheckError as error:
            raise SourceBuildError(
                f"The build went through, but its result is of no use ({error}). "
                f"What the tools said is in {log}."
            ) from error
        return built.path, SOURCE_BUILD, built.detail


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    # The same name each time: compilers write it into the library, whose checksum would change with it.
    workshop = folder / "workshop"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir()
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
