"""The cr-sqlite extension: where it is, how it gets there and whether it works.

``extension_path()`` is what the rest of replicell needs; ``install()`` and ``check_extension()`` stand
behind ``replicell extension install`` and ``replicell extension check``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from replicell.persisters.crsqlite.extension.locate import extension_path
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT, VERSION

if TYPE_CHECKING:
    from replicell.persisters.crsqlite.extension.check import CheckReport, check_extension
    from replicell.persisters.crsqlite.extension.installer import Installation, InstallOptions, install

__all__ = [
    "ENTRY_POINT",
    "VERSION",
    "CheckReport",
    "InstallOptions",
    "Installation",
    "check_extension",
    "extension_path",
    "install",
]

# Whoever opens a database needs the path alone, and not HTTP, archives and processes with it.
_IMPORTED_WHEN_USED = {
    "CheckReport": "check",
    "check_extension": "check",
    "InstallOptions": "installer",
    "Installation": "installer",
    "install": "installer",
}


def __getattr__(name: str) -> object:
    if name not in _IMPORTED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_IMPORTED_WHEN_USED[name]}"), name)
    globals()[name] = value
    return value
