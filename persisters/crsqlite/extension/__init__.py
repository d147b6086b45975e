"""The cr-sqlite extension: where it is, how it gets there and whether it works.

``extension_path()`` is what the rest of replicell needs; ``install()`` and ``check_extension()`` stand
behind ``replicell extension install`` and ``replicell extension check``.
"""

from replicell.persisters.crsqlite.extension.check import CheckReport, check_extension
from replicell.persisters.crsqlite.extension.install import Installation, InstallOptions, install
from replicell.persisters.crsqlite.extension.locate import extension_path
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT, VERSION

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
