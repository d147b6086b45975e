"""The errors of programs opened with one call::

AppError
├── AppOptionsError   options of `replicell.open` that make no sense, or not together
├── AppClosedError    something was asked of an app that is closed
├── AppTimeoutError   what was waited for did not come about in time
└── NoServerError     a server was needed, and the app was opened without one

What goes wrong with the database, the store or the server raises the errors of those.
"""

from __future__ import annotations

from replicell.errors import ReplicellError

__all__ = ["AppClosedError", "AppError", "AppOptionsError", "AppTimeoutError", "NoServerError"]


class AppError(ReplicellError):
    """Base of all errors raised by `replicell.app`."""


class AppOptionsError(AppError, ValueError):
    """Options were given that make no sense, or not together; nothing has been opened."""


class AppClosedError(AppError, RuntimeError):
    """Something was asked of an app after it was closed."""


class AppTimeoutError(AppError, TimeoutError):
    """What was waited for did not come about in time; nothing is lost, and the app goes on."""


class NoServerError(AppError, RuntimeError):
    """The app was opened without a server, so there is nobody to wait for."""
