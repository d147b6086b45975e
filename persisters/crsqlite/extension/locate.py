"""Where the extension is: the one place that knows."""

from __future__ import annotations

import os
from pathlib import Path

from replicell.persisters.crsqlite.extension.cache import ExtensionCache, cache_folder
from replicell.persisters.errors import ExtensionNotFoundError

__all__ = ["PATH_VARIABLE", "explicit_path", "extension_path"]

PATH_VARIABLE = "CRSQLITE_PATH"


def explicit_path() -> Path | None:
    """Return the library that ``CRSQLITE_PATH`` names, or None where it is not set.

    Raises:
        ExtensionNotFoundError: the variable names something that is not a file.
    """
    value = os.environ.get(PATH_VARIABLE)
    if not value:
        return None
    path = Path(value).expanduser().absolute()
    if not path.is_file():
        raise ExtensionNotFoundError(
            f"{PATH_VARIABLE} says the cr-sqlite extension is {path}, where there is no file: "
            "correct it, or unset it and run `replicell extension install`."
        )
    return path


def extension_path() -> Path:
    """Return the path of the cr-sqlite extension, ready to be loaded.

    Nothing else in replicell knows where the file is. ``CRSQLITE_PATH`` comes first; then what
    ``replicell extension install`` put into the cache, compared with the checksum recorded there. Nothing
    is downloaded or built here.

    Returns:
        An absolute path. Load it with the entry point ``ENTRY_POINT``.

    Raises:
        ExtensionNotFoundError: there is none; the message says how to get one.
        ExtensionDamagedError: the installed one is not the file that was installed.
    """
    return explicit_path() or ExtensionCache(cache_folder()).library()
