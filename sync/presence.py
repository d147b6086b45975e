"""Presence: who is in a room, and a small state of each that is kept nowhere but in memory.

A client takes part once it has shown a state of its own (`Present`); only then it is told of the others. Of
what changes quickly everybody gets the latest: a room tells all its clients in one message what has changed
since the last one, at once if nothing was told for a moment, and never faster than it can be sent.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from replicell.sync.actions import Emit
from replicell.sync.errors import PresenceError
from replicell.sync.messages import Encoding, PeerAnnouncement, Peers, encode
from replicell.sync.pace import Pace

__all__ = [
    "TELLING_SECONDS",
    "Peer",
    "PeerListener",
    "PeerMap",
    "PresenceBoard",
    "PresencePolicy",
    "Shown",
    "peer_id",
    "peers_messages",
    "state_from_text",
    "text_from_state",
]

_log = logging.getLogger("replicell.sync.presence")

TELLING_SECONDS: Final = 0.05
"""Between two messages about what changes all the time."""
_BYTES_A_SECOND: Final = 8 * 1024 * 1024
"""About what a room spends on presence, to all its clients together."""
_LONGEST_REST: Final = 5.0
_FRAME_BYTES: Final = 128 * 1024
_ID_DIGITS: Final = 20
_DEEPEST: Final = 32

PresencePolicy: TypeAlias = Literal["anonymous", "names", "off"]
"""What a server tells the clients of a room of each other: the states that they show, also the names that
``authenticate`` gave them, or nothing."""


class Peer(NamedTuple):
    """Somebody who is in a room.

    Args:
        id: Names this replica among all others of the room, for as long as its database has its site id.
        state: What it shows of itself: anybody may show anything.
        name: Who it is, as the server knows; None if it does not tell.
    """

    id: str
    state: Mapping[str, Any]
    name: str | None = None


PeerListener: TypeAlias = Callable[[str, Peer | None, Peer | None], object]
"""Called with a peer's id, the peer as it is now (None: it has left) and as it was (None: it has come)."""


class Shown(NamedTuple):
    """What a room tells of a client.

    Args:
        state: Its state, as JSON.
        name: Its name, None if that is not told.
    """

    state: str
    name: str | None = None


def peer_id(site_id: bytes) -> str:
    """Return the id under which a replica is known to the others.

    A site id itself must stay unknown to them: whoever has it can push its owner out of the room.
    """
    return hashlib.sha256(b"replicell presence" + site_id).hexdigest()[:_ID_DIGITS]


def text_from_state(state: Mapping[str, Any]) -> str:
    """Encode a state.

    Raises:
        PresenceError: It is no mapping from texts to what JSON can say.

    >>> text_from_state({"name": "Anna", "cursor": [1, 2]})
    '{"name":"Anna","cursor":[1,2]}'
    """
    try:
        # The standard library's encoder refuses what JSON does not have, instead of making something of it.
        text = json.dumps(dict(state), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        _read_state(text)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise PresenceError(
            f"a presence state is a mapping from texts to what JSON can say, such as {{'name': 'Anna'}}, "
            f"or None to take no part; this one is not: {error}"
        ) from error
    return text


def state_from_text(text: str) -> Mapping[str, Any]:
    """Decode a state that came from elsewhere.

    Raises:
        PresenceError: It is none.
    """
    try:
        return MappingProxyType(_read_state(text))
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise PresenceError(f"a presence state is a JSON object: {error}") from error


_decode_state = msgspec.json.Decoder(dict[str, Any]).decode


def _read_state(text: str) -> dict[str, Any]:
    state = _decode_state(text)
    level: list[Any] = [state]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return state
    raise ValueError(f"it is nested deeper than {_DEEPEST} levels")


class PeerMap:
    """The others, by id, and who listens to their coming and going."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._listeners: dict[str, PeerListener] = {}
        self._listener_ids = count()

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The peers as they are now; the mapping follows what changes."""
        return MappingProxyType(self._peers)

    def add_listener(self, listener: PeerListener) -> str:
        """Call a listener whenever a peer comes, changes or leaves; returns its id."""
        listener_id = f"p{next(self._listener_ids)}"
        self._listeners[listener_id] = listener
        return listener_id

    def del_listener(self, listener_id: str) -> None:
        """Call a listener no more; an unknown id is ignored."""
        self._listeners.pop(listener_id, None)

    def put(self, announcement: PeerAnnouncement) -> None:
        """Somebody is there; a state that cannot be read counts as empty."""
        try:
            state = state_from_text(announcement.state)
        except PresenceError:
            state = MappingProxyType({})
        before = self._peers.get(announcement.id)
        now = Peer(announcement.id, state, announcement.name)
        if now != before:
            self._peers[now.id] = now
            self._tell(now.id, now, before)

    def remove(self, peer: str) -> None:
        """Somebody has gone; unknown ids are ignored."""
        before = self._peers.pop(peer, None)
        if before is not None:
            self._tell(peer, None, before)

    def keep_only(self, ids: Iterable[str]) -> None:
        """All others have gone."""
        kept = frozenset(ids)
        for peer in [peer for peer in self._peers if peer not in kept]:
            self.remove(peer)

    def _tell(self, peer: str, now: Peer | None, before: Peer | None) -> None:
        for listener in list(self._listeners.values()):
            try:
                listener(peer, now, before)
            except Exception:
                _log.exception("a presence listener failed")


class Attendee(Protocol):
    """A session that takes part."""

    @property
    def encoding(self) -> Encoding:
        """How its messages are encoded."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether it should be sent nothing now, because it does not read."""
        ...

    def send_frame(self, frame: bytes | str) -> None:
        """Send it an encoded message."""
        ...


class _Place:
    __slots__ = ("is_new", "knows_all", "peer", "shown")

    def __init__(self, peer: str, shown: Shown) -> None:
        self.peer = peer
        self.shown = shown
        self.is_new = True
        self.knows_all = False


class PresenceBoard:
    """Who is in a room, and who has to be told what of it; without I/O.

    Args:
        emit: Takes the `Later` actions by which it paces itself.
        most: How many may take part, None for any number.
    """

    def __init__(self, emit: Emit, most: int | None = None) -> None:
        self._most = most
        self._pace = Pace(emit, self._tell_all)
        self._places: dict[Attendee, _Place] = {}
        self._owners: dict[str, Attendee] = {}
        self._elsewhere: dict[str, Shown] = {}
        self._changed: dict[str, None] = {}
        self._told: dict[str, Shown] = {}
        self.everybody = PeerMap()
        """The same for code in this process, told when the clients are told."""
        self.on_told: Callable[[Mapping[str, Shown | None]], object] = _nothing
        """Called with those of this node that were told, None for who has gone."""

    def __len__(self) -> int:
        return len(self._places)

    @property
    def here(self) -> Mapping[str, Shown]:
        """Those who are connected to this node."""
        return {peer: self._places[owner].shown for peer, owner in self._owners.items()}

    def show(self, attendee: Attendee, peer: str, shown: Shown) -> bool:
        """A client takes part, or shows another state.

        Args:
            attendee: Its session; a newer one of the same peer takes its place.
            peer: Its id.
            shown: What the others may see.

        Returns:
            False if it cannot take part because too many do.
        """
        place = self._places.get(attendee)
        if place is None:
            if self._most is not None and len(self._places) >= self._most:
                return False
            place = self._places[attendee] = _Place(peer, shown)
        place.shown = shown
        self._owners[peer] = attendee
        self._note(peer)
        return True

    def leave(self, attendee: Attendee) -> None:
        """A client takes no part any more, or has gone."""
        place = self._places.pop(attendee, None)
        if place is not None and self._owners.get(place.peer) is attendee:
            del self._owners[place.peer]
            self._note(place.peer)

    def tell_anew(self, attendee: Attendee) -> None:
        """A client that was held reads again, and may have missed something."""
        place = self._places.get(attendee)
        if place is not None and not place.knows_all:
            self._pace.ask()

    def show_elsewhere(self, peer: str, shown: Shown | None) -> None:
        """Somebody is at another node, or has left it (None)."""
        if shown is None:
            self._elsewhere.pop(peer, None)
        else:
            self._elsewhere[peer] = shown
        self._note(peer)

    def _note(self, peer: str) -> None:
        self._changed[peer] = None
        self._pace.ask()

    def _now(self, peer: str) -> Shown | None:
        owner = self._owners.get(peer)
        return self._places[owner].shown if owner is not None else self._elsewhere.get(peer)

    def _tell_all(self) -> float:
        """Tell everybody what has changed; returns how long to rest after so much."""
        news = self._news()
        changes = _Frames(lambda: peers_messages(news))
        everything = _Frames(lambda: peers_messages(self._told, list(self._told)))
        sent = 0
        for attendee, place in list(self._places.items()):
            if attendee.is_held:
                # It is told everything when it reads again, instead of having all this wait for it.
                place.knows_all = False
                continue
            if place.knows_all:
                frames = changes.encoded(attendee.encoding)
            else:
                if place.is_new:
                    attendee.send_frame(encode(Peers([], [], you=place.peer), attendee.encoding))
                place.is_new, place.knows_all = False, True
                frames = everything.encoded(attendee.encoding)
            for frame in frames:
                attendee.send_frame(frame)
                sent += len(frame)
        for peer, shown in news.items():
            if shown is None:
                self.everybody.remove(peer)
            else:
                self.everybody.put(PeerAnnouncement(peer, shown.state, shown.name))
        local = {peer: shown for peer, shown in news.items() if shown is None or peer in self._owners}
        if local:
            self.on_told(local)
        if not news and not sent:
            return 0.0
        return min(max(TELLING_SECONDS, sent / _BYTES_A_SECOND), _LONGEST_REST)

    def _news(self) -> dict[str, Shown | None]:
        changed, self._changed = self._changed, {}
        news: dict[str, Shown | None] = {}
        for peer in changed:
            now = self._now(peer)
            if now == self._told.get(peer):
                continue
            news[peer] = now
            if now is None:
                del self._told[peer]
            else:
                self._told[peer] = now
        return news


class _Frames:
    """Messages that many get, encoded once for all who get them in the same way."""

    def __init__(self, messages: Callable[[], Iterable[Peers]]) -> None:
        self._messages = messages
        self._encoded: dict[Encoding, list[bytes | str]] = {}

    def encoded(self, encoding: Encoding) -> list[bytes | str]:
        if encoding not in self._encoded:
            self._encoded[encoding] = [encode(message, encoding) for message in self._messages()]
        return self._encoded[encoding]


def peers_messages(shown: Mapping[str, Shown | None], everybody: list[str] | None = None) -> Iterator[Peers]:
    """Say who is there, and who has gone (None), in messages that are not too big.

    Args:
        shown: What to say.
        everybody: The ids of all who are there, to be said first; None if only something has changed.
    """
    if everybody is not None:
        yield Peers([], [], everybody=everybody)
    here: list[PeerAnnouncement] = []
    gone: list[str] = []
    size = 0
    for peer, one in shown.items():
        if one is None:
            gone.append(peer)
        else:
            here.append(PeerAnnouncement(peer, one.state, one.name))
            size += len(one.state)
        if size >= _FRAME_BYTES:
            yield Peers(here, gone)
            here, gone, size = [], [], 0
    if here or gone:
        yield Peers(here, gone)


def _nothing(_: object) -> None:
    return
