"""The persister between a store and a JSON file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.documents import DocumentKeeper
from replicell.persisters.errors import ConfigError, ContentFormatError, FileAccessError
from replicell.persisters.files import FileWatch, Signature, locked, read_text, remove_leftovers, replace_text
from replicell.persisters.persister import ErrorListener, Persister
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import EVERYTHING, ChangeTracker
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["JsonFilePersister", "create_json_file_persister"]


class JsonFilePersister(Persister):
    """Keeps a store and a JSON file the same: ``[tables, values]``, as TinyBase writes it.

    `Persister` says what it promises. Each save replaces the whole file, after looking what others have
    changed in it, so several programs may share one: edits of different cells meet. The file is replaced
    atomically: a program that crashes leaves the old text or the new one. A file that is not the content of a
    store is reported and left as it is; saving goes on when it has been repaired or deleted.

    Args:
        store: The store.
        path: The file; it is created if it is not there. What a symbolic link points to is replaced.
        poll_interval: Seconds between looks at whether another program has changed the file.
        lock_timeout: Seconds to wait for other programs that save to the same folder.
        options: The keyword arguments of `Persister`.
    """

    def __init__(
        self,
        store: Store,
        path: str | os.PathLike[str],
        *,
        poll_interval: float = 0.02,
        lock_timeout: float = 5.0,
        **options: Any,
    ) -> None:
        if poll_interval <= 0 or lock_timeout < 0:
            raise ConfigError(
                "poll_interval must be positive and lock_timeout not negative, both in seconds."
            )
        super().__init__(store, ChangeTracker(store, EVERYTHING), **options)
        self._path = Path(path)
        self._poll_interval = poll_interval
        self._lock_timeout = lock_timeout
        self._keeper = DocumentKeeper(str(path))
        self._written: Signature = None
        self._is_cleared = False

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def get_file_path(self) -> str:
        """Return the file as a string. Mirrors TinyBase's `getFilePath`."""
        return str(self._path)

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        return self._in_thread(self._load)

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        return self._in_thread(self._save, unsaved, self.is_auto_loading())

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        loop = self._running_loop()

        def on_file_change(now: Signature) -> None:
            if now != self._written:
                try:
                    loop.call_soon_threadsafe(on_change)
                except RuntimeError:
                    watch.stop()  # the loop is gone, and with it whoever asked

        watch = FileWatch(self._path, self._poll_interval, on_file_change)
        return Subscription(watch.stop)

    def _on_applied(self, content: LoadedContent) -> None:
        self._keeper.on_applied(content)

    def _release(self) -> None:
        return

    def _in_thread(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(asyncio.to_thread(function, *args))

    def _load(self) -> LoadedContent:
        return self._keeper.load(self._read())

    def _save(self, unsaved: UnsavedChanges, is_loading: bool) -> SaveResult:
        try:
            with locked(self._path, self._lock_timeout):
                if not self._is_cleared:
                    remove_leftovers(self._path)
                    self._is_cleared = True
                save = self._keeper.save(self._read(), unsaved, is_loading)
                if save.text is not None:
                    replace_text(self._path, save.text, self._announce)
        except OSError as error:
            if isinstance(error, FileAccessError):
                raise
            raise FileAccessError(
                f"{self._path} cannot be written ({error}): check its folder, permissions and the disk."
            ) from error
        self._keeper.on_saved(save, unsaved)
        return save.result

    def _announce(self, written: Signature) -> None:
        self._written = written

    def _read(self) -> str | None:
        try:
            return read_text(self._path)
        except UnicodeDecodeError as error:
            raise ContentFormatError(
                f"{self._path} is not UTF-8 ({error}): repair it or name another file. It is left as it is."
            ) from error
        except IsADirectoryError as error:
            raise FileAccessError(f"{self._path} is a folder: name a file in it.") from error
        except OSError as error:
            raise FileAccessError(
                f"{self._path} cannot be read ({error}): check its folder and permissions."
            ) from error


def create_json_file_persister(
    store: Store,
    path: str | os.PathLike[str],
    *,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> JsonFilePersister:
    """Create a persister between a store and a JSON file. Mirrors TinyBase's `createFilePersister`.

    Args:
        store: The store.
        path: The file.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `JsonFilePersister`.
    """
    options.setdefault("on_error", on_ignored_error)
    return JsonFilePersister(store, path, **options)
