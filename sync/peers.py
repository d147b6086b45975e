"""A client's view of the others who are in its room, and what it shows of itself."""

from __future__ import annotations

from replicell.sync.messages import Peers
from replicell.sync.presence import PeerMap

__all__ = ["PeerView"]


class PeerView(PeerMap):
    """What a client knows of the others, over all its connections."""

    def __init__(self) -> None:
        super().__init__()
        self.own_id: str | None = None
        """Under which id the others see this client; None while it is not connected."""
        self.shown: str | None = None
        """The own state as JSON, None to take no part."""

    def take(self, message: Peers) -> None:
        """The server tells of others."""
        if message.you is not None:
            self.own_id = message.you
        if message.everybody is not None:
            self.keep_only(message.everybody)
        for announcement in message.here:
            if announcement.id != self.own_id:
                self.put(announcement)
        for peer in message.gone:
            self.remove(peer)

    def lose(self) -> None:
        """The connection has ended, and with it all that is known."""
        self.own_id = None
        self.keep_only(())
