"""What can be chosen of how a node follows its rooms' logs."""

from __future__ import annotations

from dataclasses import dataclass

from replicell.sync.errors import SyncError

__all__ = ["LinkOptions"]


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Times and sizes of how a room follows its log.

    Args:
        beacon_interval: Seconds after which the other nodes are told how far one is, if that is new.
        check_interval: Seconds after which the content is compared with the other nodes', if it is new.
        snapshot_bytes: How many bytes of entries make a snapshot worth while; more, if the room is bigger.
        snapshot_jitter: Seconds that a node waits at most for another one to make the snapshot.
        presence_interval: Seconds after which the other nodes are told once more who is in the room; a node
            that has not told for three times as long is thought to have nobody.
        catch_up_timeout: Seconds that a room waits for the log when it is opened, before it serves what is
            on disk; for a snapshot that it begins with, seconds in which none of it comes.

    Raises:
        SyncError: One of them makes no sense.
    """

    beacon_interval: float = 5.0
    check_interval: float = 600.0
    snapshot_bytes: int = 16 * 1024 * 1024
    snapshot_jitter: float = 3.0
    presence_interval: float = 5.0
    catch_up_timeout: float = 5.0

    def __post_init__(self) -> None:
        needed = ("beacon_interval", "check_interval", "snapshot_bytes", "presence_interval")
        if min(getattr(self, name) for name in needed) <= 0:
            raise SyncError(f"{', '.join(needed[:-1])} and {needed[-1]} are more than 0")
        if min(self.snapshot_jitter, self.catch_up_timeout) < 0:
            raise SyncError("snapshot_jitter and catch_up_timeout are seconds, 0 or more")
