"""What importing the package brings with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from replicell.persisters.crsqlite import extension


def test_finding_the_extension_does_not_import_the_installer() -> None:
    program = (
        "import sys; from replicell.persisters.crsqlite.extension import extension_path; "
        "package = 'replicell.persisters.crsqlite.extension'; "
        "print(sorted(name.removeprefix(package) for name in sys.modules if name.startswith(package)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert process.stdout.strip() == "['', '.cache', '.locate', '.release']"


@pytest.mark.parametrize("name", extension.__all__)
def test_everything_public_can_be_imported_from_the_package(name: str) -> None:
    assert getattr(extension, name) is not None


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'uninstall'"):
        extension.uninstall  # noqa: B018  # the look-up alone is what is tested
