"""The persister between a store and a JSON document at a web address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.documents import DocumentKeeper
from replicell.persisters.errors import (
    ConfigError,
    ContentFormatError,
    MissingPackageError,
    RemoteDocumentError,
)
from replicell.persisters.persister import ErrorListener, Persister
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import EVERYTHING, ChangeTracker
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

try:
    import httpx
except ImportError as error:
    raise MissingPackageError(
        'Web addresses need the package httpx: pip install "replicell[http]"'
    ) from error

__all__ = ["RemotePersister", "create_remote_persister"]

_METHODS: Final = ("POST", "PUT")
# Servers that compress have other ETags, or only weak ones, for what they have compressed.
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
_TRIES: Final = 8
_NEXT_STEPS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "give credentials by headers= or client=",
    HTTPStatus.FORBIDDEN: "the credentials do not allow it",
    HTTPStatus.NOT_FOUND: "look whether the address is right",
    HTTPStatus.METHOD_NOT_ALLOWED: "the server may want the other of method='POST' and method='PUT'",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the store is too large for this server",
    HTTPStatus.PRECONDITION_FAILED: f"others have changed it {_TRIES} times meanwhile",
}


class RemotePersister(Persister):
    """Keeps a store and the JSON document at a web address the same: ``[tables, values]``, as TinyBase's.

    `Persister` says what it promises. The document is read with GET and written whole with POST or PUT; edits
    that others have made are looked for before. Between the look and the write, a server that gives ETags
    and heeds ``If-Match`` keeps others out, so that edits of different cells meet; with another one, or when
    it is read and written at different addresses, what others write in that moment is lost. A document that
    is not the content of a store is reported and left as it is. One that is not there (404, or empty) is a
    new one.

    Args:
        store: The store.
        load_url: Where the document is read.
        save_url: Where it is written; the same if None.
        poll_interval: Seconds between looks (HEAD) at whether others have changed it. Without an ETag in the
            answer, it is read whole each time.
        method: ``"POST"`` or ``"PUT"``.
        headers: Sent with each request, say ``{"Authorization": "Bearer ..."}``.
        timeout: Seconds for connecting, and for each silence of the server.
        client: A client of your own, with proxies, certificates or authentication; it is not closed. With
            one, ``headers`` and ``timeout`` are its business.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: an address that is none, or an option that cannot be followed.
        MissingPackageError: httpx is not installed; raised when the module is imported.
    """

    def __init__(
        self,
        store: Store,
        load_url: str,
        save_url: str | None = None,
        *,
        poll_interval: float = 5.0,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
        client: httpx.AsyncClient | None = None,
        **options: Any,
    ) -> None:
        self._load_url = _checked(load_url, "load_url")
        self._save_url = self._load_url if save_url is None else _checked(save_url, "save_url")
        if poll_interval <= 0 or timeout <= 0:
            raise ConfigError("poll_interval and timeout must be positive, both in seconds.")
        if method not in _METHODS:
            raise ConfigError(f"method must be 'POST' or 'PUT', not {method!r}.")
        if client is not None and headers is not None:
            raise ConfigError("Give headers to the client, as in httpx.AsyncClient(headers=...).")
        super().__init__(store, ChangeTracker(store, EVERYTHING), **options)
        self._poll_interval = poll_interval
        self._method = method
        self._client = client or httpx.AsyncClient(headers=headers, timeout=timeout)
        self._is_client_mine = client is None
        self._keeper = DocumentKeeper(_shown(self._load_url))
        self._etag: str | None = None
        self._text: str | None = None
        self._polling: asyncio.Task[None] | None = None

    def get_urls(self) -> tuple[str, str]:
        """Return where the document is read and where it is written. Mirrors TinyBase's `getUrls`."""
        return str(self._load_url), str(self._save_url)

    async def close(self) -> None:
        """Save what is not saved yet, if auto-saving, and end the connection. See `Persister.close`."""
        try:
            await super().close()
        finally:
            if self._polling is not None:
                await asyncio.wait([self._polling])
            if self._is_client_mine:
                await self._client.aclose()

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        return asyncio.ensure_future(self._load())

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        return asyncio.ensure_future(self._save(unsaved, self.is_auto_loading()))

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        polling = self._polling = asyncio.ensure_future(self._poll(on_change))

        def stop() -> None:
            polling.cancel()

        return Subscription(stop)

    def _on_applied(self, content: LoadedContent) -> None:
        self._keeper.on_applied(content)

    def _release(self) -> None:
        return

    async def _load(self) -> LoadedContent:
        return self._keeper.load(await self._read())

    async def _save(self, unsaved: UnsavedChanges, is_loading: bool) -> SaveResult:
        tries = 0
        while True:
            save = self._keeper.save(await self._read(), unsaved, is_loading)
            if save.text is None:
                return save.result
            response = await self._write(save.text)
            tries += 1
            if response.is_success:
                self._keeper.on_saved(save, unsaved)
                return save.result
            if response.status_code != HTTPStatus.PRECONDITION_FAILED or tries == _TRIES:
                raise _refused(response)

    async def _write(self, text: str) -> httpx.Response:
        response = await self._request(
            self._method,
            self._save_url,
            content=text.encode(),
            headers={"Content-Type": "application/json", **self._condition()},
        )
        if response.is_success:
            # What a server says it has stored need not be read again.
            self._etag = response.headers.get("etag") if self._is_one_place else None
            self._text = text
        return response

    @property
    def _is_one_place(self) -> bool:
        return self._load_url == self._save_url

    def _condition(self) -> dict[str, str]:
        """Return the header by which a server refuses to replace what has not been read."""
        if not self._is_one_place:
            return {}
        if self._text is None:
            return {"If-None-Match": "*"}
        # By a weak one nobody may compare here.
        is_comparable = self._etag is not None and not self._etag.startswith("W/")
        return {"If-Match": self._etag or ""} if is_comparable else {}

    async def _read(self) -> str | None:
        headers = {"Accept": "application/json", **_AS_IT_IS}
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        response = await self._request("GET", self._load_url, headers=headers, follow_redirects=True)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return self._text
        if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT):
            self._text = self._etag = None
        elif response.is_success:
            self._text = _decoded(response)
            self._etag = response.headers.get("etag")
        else:
            raise _refused(response)
        return self._text

    async def _poll(self, on_change: Callable[[], None]) -> None:
        """Look from time to time; whatever is wrong then, reading will tell."""
        while True:
            await asyncio.sleep(self._poll_interval)
            try:
                response = await self._request(
                    "HEAD", self._load_url, headers=_AS_IT_IS, follow_redirects=True
                )
            except RemoteDocumentError:
                on_change()
                continue
            etag = response.headers.get("etag")
            if not response.is_success or etag is None or etag != self._etag:
                on_change()

    async def _request(self, method: str, url: httpx.URL, **options: Any) -> httpx.Response:
        if self._client.is_closed:
            raise RemoteDocumentError("The client has been closed: close the persister before it.")
        try:
            return await self._client.request(method, url, **{"follow_redirects": False, **options})
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise RemoteDocumentError(
                f"{method} {_shown(url)} failed ({why}): look whether the server runs and can be reached "
                "from here. It is tried again."
            ) from error


def create_remote_persister(
    store: Store,
    load_url: str,
    save_url: str | None = None,
    auto_load_interval_seconds: float = 5.0,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> RemotePersister:
    """Create a persister between a store and a web address. Mirrors TinyBase's `createRemotePersister`.

    Args:
        store: The store.
        load_url: Where the document is read.
        save_url: Where it is written; the same if None.
        auto_load_interval_seconds: TinyBase's name for ``poll_interval``.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `RemotePersister`.
    """
    options.setdefault("poll_interval", auto_load_interval_seconds)
    options.setdefault("on_error", on_ignored_error)
    return RemotePersister(store, load_url, save_url, **options)


def _checked(address: str, name: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"{name} is not an address ({error}): {address!r}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{name} must be an address that begins with http:// or https://, not {address!r}.")
    return url


def _decoded(response: httpx.Response) -> str:
    try:
        return response.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentFormatError(
            f"{_shown(response.url)} is not UTF-8 ({error}): repair it or name another address. "
            "It is left as it is."
        ) from error


def _refused(response: httpx.Response) -> RemoteDocumentError:
    step = _NEXT_STEPS.get(response.status_code, "see the log of that server")
    if response.is_redirect:
        step = f"it has moved to {response.headers.get('location')}, so name that address"
    request = response.request
    return RemoteDocumentError(
        f"{request.method} {_shown(request.url)} was answered "
        f"{response.status_code} {response.reason_phrase}: {step}."
    )


def _shown(url: httpx.URL) -> str:
    """An address without the name and password that may stand in it."""
    return str(url.copy_with(userinfo=b""))
