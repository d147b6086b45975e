"""Everything with one call: a store, the file it is kept in, and the server it is shared through.

`open` is for asyncio programs, `open_blocking` for all others.
"""

from replicell.app.app import App, AppStatus, Opening, open
from replicell.app.blocking import BlockingApp, open_blocking
from replicell.app.errors import AppClosedError, AppError, AppOptionsError, AppTimeoutError, NoServerError

__all__ = [
    "App",
    "AppClosedError",
    "AppError",
    "AppOptionsError",
    "AppStatus",
    "AppTimeoutError",
    "BlockingApp",
    "NoServerError",
    "Opening",
    "open",
    "open_blocking",
]
