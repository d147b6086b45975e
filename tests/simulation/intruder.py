"""A client that keeps to no rule, in a history of sessions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from replicell.sync.actions import Action, Authenticate, Close, Send
from replicell.sync.jobs import Job
from tests.simulation.babble import Babble
from tests.simulation.nodes import Client, serve

if TYPE_CHECKING:
    from tests.simulation.history import History

FRAMES: Final = 12


class Intruder:
    """Comes in as somebody, says all kinds of things at random moments, and goes.

    Args:
        world: The history that it disturbs.
        victim: The client whose site id it may take.
    """

    def __init__(self, world: History, victim: Client) -> None:
        self._world = world
        self._server = world.server
        self._babble = Babble(world.rng)
        steals = victim.up and world.rng.random() < 0.3
        self._site_id = victim.site_id() if steals else self._babble.site_id()
        self._open = True
        self._session = serve(world.server, self._emit)

    def come_in(self) -> None:
        """Connect, and begin to talk."""
        self._server.guests[self.cut] = None
        self._session.start(self._world.clock.now)
        self._say(self._babble.hello(self._site_id))
        # The handshake takes two jobs of the database, if all goes well.
        self._world.clock.after(0.1, partial(self._say, self._babble.ready()))
        for _ in range(FRAMES):
            self._world.clock.after(self._world.rng.random() * 3, self._say_something)
        self._world.clock.after(3.5, self.cut)

    def cut(self) -> None:
        """It is gone."""
        if self._open:
            self._open = False
            self._server.guests.pop(self.cut, None)
            self._session.connection_lost()

    def _emit(self, action: Action) -> None:
        match action:
            case Job():
                self._server.submit(action)
            case Close():
                self._world.clock.after(0, self.cut)
            case Authenticate():
                self._session.not_renewed("nobody knows this token")
            case Send():
                pass
            case _:
                raise AssertionError("a server's session asks for nothing else")

    def _say(self, frame: bytes | str) -> None:
        if self._open:
            self._session.receive(frame, self._world.clock.now)

    def _say_something(self) -> None:
        frame = self._babble.frame()
        if frame is not None:
            self._say(frame)
