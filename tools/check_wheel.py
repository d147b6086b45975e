"""Build the source archive and the wheel and compare what is in the wheel with what is in the tree."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORT_ROOTS = {
    "replicell": ROOT / "src" / "replicell",
    **{f"replicell/{layer}": ROOT / layer for layer in ("store", "persisters", "sync")},
}
PACKAGED_SUFFIXES = {".py", ".typed", ".tcss", ".js", ".css"}


def files_in_tree() -> set[str]:
    """Return the names that the wheel must hold, as paths inside it."""
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}"
        for prefix, folder in IMPORT_ROOTS.items()
        for path in folder.rglob("*")
        if path.suffix in PACKAGED_SUFFIXES and not any(part.is_symlink() for part in path.parents)
    }


def files_in_wheel(folder: Path) -> set[str]:
    """Build the wheel from the source archive and return the names of the files it installs."""
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    if build.returncode != 0:
        sys.exit(f"the wheel does not build:\n{build.stdout[-3000:]}{build.stderr[-3000:]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        built = files_in_wheel(Path(folder))
    expected = files_in_tree()
    for name in sorted(expected - built):
        print(f"missing from the wheel: {name}")
    for name in sorted(built - expected):
        print(f"in the wheel but not in the tree: {name}")
    print(f"{len(built)} files in the wheel, {len(expected)} in the tree")
    return 0 if built == expected else 1


if __name__ == "__main__":
    sys.exit(main())
