"""Build the extension from its official npm source package with the machine's own tools."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replicell.persisters.crsqlite.extension.libclang import find_libclang
from replicell.persisters.crsqlite.extension.patches import (
    DEBIAN_PATCHES,
    SOURCE_PATCHES,
    apply_patches,
    drop_lock_files,
    free_toolchain,
    require_safe_bytes,
    require_safe_lock,
)
from replicell.persisters.crsqlite.extension.release import NPM_INTEGRITY, NPM_PACKAGE, VERSION, Platform
from replicell.persisters.crsqlite.extension.tools import (
    NEXT_STEP,
    ToolRunner,
    Tools,
    find_tools,
    require_rust,
)
from replicell.persisters.errors import SourceBuildError

__all__ = ["DEBIAN_CRATES", "BuiltLibrary", "SourceBuild"]

# Where Debian's librust-*-dev packages put their sources, in the form of a cargo directory source.
DEBIAN_CRATES = Path("/usr/share/cargo/registry")

_DEBIAN_PACKAGES = (
    "librust-bindgen+runtime-dev librust-num-traits-dev librust-num-derive-dev librust-bytes-dev"
)

# Only these use unstable features. Naming them keeps the others from trying features of a nightly compiler.
_UNSTABLE_CRATES = "crsql_bundle,crsql_core,crsql_fractindex_core,sqlite_nostd"

_C_SOURCES = ("src/crsqlite.c", "src/changes-vtab.c", "src/ext-data.c")

# These would send cargo's output elsewhere or change what is built.
_DISTURBING_VARIABLES = ("CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS")


@dataclass(frozen=True)
class BuiltLibrary:
    """The result of a build.

    Args:
        path: the library, inside the build's folder.
        detail: the package and the tools it was made with, for the record.
    """

    path: Path
    detail: str


class SourceBuild:
    """One build, from fetching the package to linking the library.

    Args:
        folder: an empty folder to work in; about 150 MB are needed there.
        log: the file that keeps what the tools said.
        report: is told what is going on, every two seconds at least.
        debian_crates: Debian's packaged crates, used when cargo cannot fetch any.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        report: Callable[[str], None],
        *,
        debian_crates: Path = DEBIAN_CRATES,
    ) -> None:
        self._folder = folder
        self._report = report
        self._runner = ToolRunner(log, report)
        self._debian_crates = debian_crates
        self._package = folder / "package"
        self._bundle = self._package / "rs" / "bundle_static"
        self._environment = {
            name: value for name, value in os.environ.items() if name not in _DISTURBING_VARIABLES
        }

    def run(self) -> BuiltLibrary:
        """Build the library.

        Raises:
            ToolMissingError: a tool is not there, or too old.
            SourceBuildError: the platform is not supported, the source is another, or a tool failed.
        """
        if sys.platform == "win32":
            raise SourceBuildError(
                "cr-sqlite cannot be built from source on Windows: give the SHA-256 of the prebuilt release "
                "with --sha256, or set CRSQLITE_PATH to a cr-sqlite library you have."
            )
        tools = find_tools()
        rust = require_rust(self._run("asking for Rust's version", ["rustc", "--version"]))
        self._unpack(self._fetch_package(tools))
        free_toolchain(self._package)
        apply_patches(self._package, SOURCE_PATCHES)
        require_safe_lock(self._bundle / "Cargo.lock")
        libclang = find_libclang(self._runner, self._folder / "libclang")
        crates = self._get_crates(tools)
        archive = self._compile_rust(tools, libclang)
        library = self._link(tools, archive)
        detail = f"{NPM_PACKAGE} with Rust {rust} and {' '.join(tools.compiler)}, {crates}"
        return BuiltLibrary(library, detail)

    def _run(
        self,
        title: str,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        time_limit: float = 600.0,
        next_step: str = NEXT_STEP,
    ) -> str:
        return self._runner.run(
            title,
            command,
            folder=folder or self._folder,
            environment=self._environment,
            time_limit=time_limit,
            next_step=next_step,
        )

    def _fetch_package(self, tools: Tools) -> Path:
        command = [
            tools.npm,
            "pack",
            NPM_PACKAGE,
            "--pack-destination",
            str(self._folder),
            "--ignore-scripts",
        ]
        limits = ["--fetch-timeout=30000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        self._run(
            f"fetching {NPM_PACKAGE} with npm",
            [*command, *limits],
            time_limit=180,
            next_step="Let npm reach its registry and run `replicell extension install` again, "
            "or set CRSQLITE_PATH to a cr-sqlite library you have.",
        )
        archives = list(self._folder.glob("*.tgz"))
        if len(archives) != 1:
            raise SourceBuildError(
                f"npm said it packed {NPM_PACKAGE}, but left no archive; see {self._runner.log}."
            )
        _require_integrity(archives[0])
        return archives[0]

    def _unpack(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            # Python 3.11 has this from its fourth patch release on, and the archive's checksum is known.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            tar.extractall(self._folder)

    def _get_crates(self, tools: Tools) -> str:
        command = [tools.cargo, "fetch", "--locked", "--manifest-path", str(self._bundle / "Cargo.toml")]
        self._environment.setdefault("CARGO_NET_RETRY", "1")
        self._environment.setdefault("CARGO_HTTP_TIMEOUT", "15")
        next_step = (
            "Let cargo reach its registry, or on Debian and Ubuntu install the packaged crates "
            f"(apt install {_DEBIAN_PACKAGES}). Then run `replicell extension install` again."
        )
        try:
            self._run(
                "fetching the crates that Cargo.lock names", command, time_limit=300, next_step=next_step
            )
        except SourceBuildError:
            if not self._debian_crates.is_dir():
                raise
            self._report("cargo cannot fetch crates: taking Debian's packaged ones")
            self._use_debian_crates()
            return "Debian's crates"
        return "the crates of its Cargo.lock"

    def _use_debian_crates(self) -> None:
        for crate in self._debian_crates.glob("bytes-[0-9]*"):
            require_safe_bytes(crate.name.removeprefix("bytes-"))
        drop_lock_files(self._package)
        apply_patches(self._package, DEBIAN_PATCHES)
        configuration = self._package / ".cargo" / "config.toml"
        configuration.parent.mkdir()
        configuration.write_text(
            '[source.crates-io]\nreplace-with = "debian"\n\n'
            f"[source.debian]\ndirectory = '{self._debian_crates}'\n\n[net]\noffline = true\n",
            encoding="utf-8",
        )

    def _compile_rust(self, tools: Tools, libclang: Path) -> Path:
        self._environment |= {
            "RUSTC_BOOTSTRAP": _UNSTABLE_CRATES,
            "CRSQLITE_COMMIT_SHA": f"npm-{VERSION}",
            "LIBCLANG_PATH": str(libclang),
            "BINDGEN_EXTRA_CLANG_ARGS": self._clang_arguments(tools),
        }
        target = self._package / "target"
        command = [
            tools.cargo,
            "build",
            "--release",
            "--features",
            "loadable_extension",
            "--target-dir",
            str(target),
        ]
        next_step = NEXT_STEP
        if (self._package / ".cargo").is_dir():
            next_step = f"Debian's packaged crates were used; needed are: apt install {_DEBIAN_PACKAGES}."
        self._run(
            "compiling the Rust part", command, folder=self._bundle, time_limit=3600, next_step=next_step
        )
        # A target set in the user's cargo configuration adds a folder in between.
        archives = list(target.glob("**/release/libcrsql_bundle_static.a"))
        if len(archives) != 1:
            raise SourceBuildError(
                f"cargo left {len(archives)} static libraries, not one; see {self._runner.log}."
            )
        return archives[0]

    def _clang_arguments(self, tools: Tools) -> str:
        # PyPI's libclang comes without the compiler's own headers (stdarg.h), so it borrows the C compiler's.
        asked = self._run(
            "asking for the C compiler's headers", [*tools.compiler, "-print-file-name=include"]
        )
        arguments = [*shlex.split(os.environ.get("BINDGEN_EXTRA_CLANG_ARGS", "")), "-isystem", asked.strip()]
        if sys.platform == "darwin":
            sdk = self._run("asking for macOS's headers", ["xcrun", "--show-sdk-path"])
            arguments += ["-isysroot", sdk.strip()]
        return shlex.join(arguments)

    def _link(self, tools: Tools, archive: Path) -> Path:
        library = self._folder / Platform.current().library
        flags = ["-O2", "-std=c99", "-fPIC", "-shared", "-Isrc", "-Isrc/sqlite"]
        command = [*tools.compiler, *flags, *_C_SOURCES, str(archive), "-o", str(library)]
        self._run("linking it with the C part", command, folder=self._package)
        return library


def _require_integrity(archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != NPM_INTEGRITY:
        archive.unlink()
        raise SourceBuildError(
            f"npm delivered another {NPM_PACKAGE} than the one replicell knows (sha512-{digest} instead of "
            f"{NPM_INTEGRITY}), so it was deleted: see which registry npm is set to use, and try again."
        )
