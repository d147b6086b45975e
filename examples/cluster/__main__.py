"""A cluster that loses its machines and nothing else: ``python -m examples.cluster``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from examples.cluster.gateway import Gateway
from examples.cluster.nats_cluster import NatsCluster, NatsMissingError
from examples.cluster.server_node import ServerNode
from replicell.persisters import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync import Backoff, SyncClient

PATIENCE = 60.0
NOTE = TableSchema("note", ("id",), ("words", "by"))
PUT = "INSERT INTO note(id, words, by) VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET words = excluded.words"
STYLES = {"synced": "green", "syncing": "yellow", "connecting": "yellow", "offline": "red"}


class Person:
    """Somebody with a database of their own, who comes in by a gateway."""

    def __init__(self, name: str, folder: Path, gateway: Gateway) -> None:
        self.name = name
        self.db = CrSqliteDatabase(folder / f"{name.lower()}.db")
        self.sync = SyncClient(
            self.db, f"ws://127.0.0.1:{gateway.port}/notes", backoff=Backoff(initial=0.05, maximum=0.5)
        )
        self.written = 0

    async def write(self, count: int) -> None:
        for _ in range(count):
            self.written += 1
            await self.db.execute(PUT, (f"{self.name} {self.written}", f"note {self.written}", self.name))

    async def write_and_wait(self) -> float:
        """Write a note and give the seconds until it is acknowledged."""
        start = time.monotonic()
        await self.write(1)
        await self.sync.wait_until_synced(PATIENCE)
        return time.monotonic() - start

    async def notes(self) -> dict[str, object]:
        return dict(await self.db.execute("SELECT id, words FROM note ORDER BY id"))


class Story:
    """The chapters, in the order in which they are told."""

    def __init__(self, folder: Path, console: Console, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.console = console
        self.stack = stack
        self.nats = stack.enter_context(NatsCluster(folder))
        self.nodes = [ServerNode(folder / f"node-{number}", self.nats.urls) for number in range(3)]
        self.people: list[Person] = []

    async def tell(self) -> bool:
        """Play all chapters; True if all replicas and nodes hold the same in the end."""
        chapters: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("Three people write, each at a node of their own", self.all_write),
            ("Anna's node is killed, and its disk is lost", self.lose_node),
            ("The NATS server that leads the stream is killed", self.lose_leader),
            ("All NATS servers are killed", self.lose_nats),
            ("The lost node comes back with an empty disk", self.bring_back),
        ]
        await self.start()
        for number, (title, chapter) in enumerate(chapters, start=1):
            self.console.print(f"\n[bold cyan]{number}. {title}[/]")
            await chapter()
            await self.show()
        self.console.print(f"\n[bold cyan]{len(chapters) + 1}. Is everything the same everywhere?[/]")
        return await self.compare()

    async def start(self) -> None:
        with self.console.status("starting three NATS servers and three server nodes"):
            for node in self.nodes:
                self.stack.push_async_callback(node.kill)
            await asyncio.gather(*(node.start() for node in self.nodes[:2]))
            await self.nodes[2].start()
        ports = [node.port for node in self.nodes]
        for number, name in enumerate(("Anna", "Ben", "Cleo")):
            order = ports[number:] + ports[:number]
            gateway = await self.stack.enter_async_context(Gateway(order))
            person = Person(name, self.folder, gateway)
            await self.stack.enter_async_context(person.db)
            await person.db.run(create_table, NOTE)
            await self.stack.enter_async_context(person.sync)
            self.people.append(person)

    async def all_write(self) -> None:
        await asyncio.gather(*(person.write(20) for person in self.people))
        await self.settle()
        self.say("Each note is on the disk of the writer's node and of two NATS servers before it counts.")

    async def lose_node(self) -> None:
        anna = self.people[0]
        await anna.write_and_wait()
        await self.nodes[0].kill()
        self.nodes[0].wipe()
        self.say(
            f"Anna's next note is acknowledged after {await anna.write_and_wait():.2f} s, by Ben's node."
        )
        await self.settle()

    async def lose_leader(self) -> None:
        leader = await self.nats.leader()
        self.nats.kill(leader)
        pauses = await asyncio.gather(*(person.write_and_wait() for person in self.people))
        self.say(f"n{leader} is gone; after {max(pauses):.1f} s another one leads, and all goes on.")
        self.nats.start(leader)
        await self.settle()

    async def lose_nats(self) -> None:
        for number in self.nats.running:
            self.nats.kill(number)
        anna, ben, cleo = self.people
        await asyncio.gather(anna.write(5), cleo.write(5))
        await self.has(ben, anna.written)
        self.say("Anna and Ben sit at one node and go on as if nothing were; nothing is acknowledged:")
        await self.show()
        self.nats.start()
        start = time.monotonic()
        await self.settle()
        self.say(
            f"NATS is back; {time.monotonic() - start:.1f} s later everything is acknowledged everywhere."
        )

    async def bring_back(self) -> None:
        await self.nodes[0].start()
        gateway = await self.stack.enter_async_context(Gateway([self.nodes[0].port]))
        dora = Person("Dora", self.folder, gateway)
        await self.stack.enter_async_context(dora.db)
        await self.stack.enter_async_context(dora.sync)
        await dora.sync.wait_until_synced(PATIENCE)
        self.people.append(dora)
        self.say("Dora comes to it, the first one there, and has everything.")

    async def compare(self) -> bool:
        await self.settle()
        contents = {person.name: await person.notes() for person in self.people}
        for node in self.nodes:
            await node.stop()
        for number, node in enumerate(self.nodes):
            async with CrSqliteDatabase(node.folder / "notes.db") as room:
                contents[f"node {number}"] = dict(
                    await room.execute("SELECT id, words FROM note ORDER BY id")
                )
        written = sum(person.written for person in self.people)
        first = contents["Anna"]
        same = [name for name, notes in contents.items() if notes == first]
        good = len(same) == len(contents) and len(first) == written
        style = "bold green" if good else "bold red"
        self.console.print(
            f"   [{style}]{len(first)} of {written} notes; the same at {', '.join(same)}[/]"
            + ("" if good else f"\n   different: {', '.join(contents.keys() - set(same))}")
        )
        return good

    async def settle(self) -> None:
        """Wait until everybody has everything."""
        total = sum(person.written for person in self.people)
        for person in self.people:
            await person.sync.wait_until_synced(PATIENCE)
            await self.has(person, total, of_all=True)

    async def has(self, person: Person, count: int, *, of_all: bool = False) -> None:
        """Wait until somebody has so many notes, of Anna or of all."""
        where = "" if of_all else " WHERE by = 'Anna'"
        changed = asyncio.Event()
        with person.db.on_change(lambda _: changed.set()):
            async with asyncio.timeout(PATIENCE):
                while await person.db.execute(f"SELECT count(*) FROM note{where}") != [(count,)]:
                    await changed.wait()
                    changed.clear()

    def say(self, text: str) -> None:
        self.console.print(Padding(text, (0, 0, 0, 3)))

    async def show(self) -> None:
        table = Table("", "status", "notes", box=None, padding=(0, 2, 0, 3))
        for person in self.people:
            status = person.sync.status.value
            style = STYLES.get(status, "")
            shown = f"[{style}]{status}[/{style}]" if style else status
            table.add_row(person.name, shown, str(len(await person.notes())))
        self.console.print(table)


async def tell(console: Console) -> bool:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replicell-cluster-")))
        return await Story(folder, console, stack).tell()


def main() -> int:
    console = Console()
    try:
        return 0 if asyncio.run(tell(console)) else 1
    except NatsMissingError as error:
        console.print(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
