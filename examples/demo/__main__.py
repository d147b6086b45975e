"""Two replicas of a todo list that always agree: ``python -m examples.demo [--input file.csv]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from examples.demo.actors import PATIENCE, ActorError, ReplicaActor, ServerActor
from examples.demo.dataset import DatasetError, Rows, read_cars, read_csv
from examples.demo.stage import Stage
from examples.demo.verdict import cells_of_database, cells_of_tables, compare, raw_cells

TABLES = ("todo", "data")
STREAMED = 200


class Story:
    """The chapters, in the order in which they are told."""

    def __init__(self, folder: Path, stage: Stage, dataset: Rows, dataset_name: str) -> None:
        self.stage = stage
        self.dataset = dataset
        self.dataset_name = dataset_name
        self.server = ServerActor(folder / "server")
        self.folder = folder
        self.state_told = asyncio.Event()

    def on_state(self) -> None:
        self.state_told.set()
        self.stage.refresh()

    async def tell(self) -> list[str]:
        """Play all chapters and return the differences found at the end: none, when all is well."""
        try:
            await self.server.start()
            self.anna, self.ben = self.stage.replicas = [
                ReplicaActor(name, self.folder / f"{name.lower()}.db", self.server.url, self.on_state)
                for name in ("Anna", "Ben")
            ]
            chapters = self.chapters()
            for number, (title, chapter) in enumerate(chapters, start=1):
                self.stage.chapter(number, title)
                await chapter()
                self.stage.show()
            self.stage.chapter(len(chapters) + 1, "Is everything the same everywhere?")
            return await self.compare_all()
        finally:
            await asyncio.gather(*(replica.stop() for replica in self.stage.replicas))
            await self.server.stop()

    def chapters(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("Both add todos", self.both_add),
            ("Ben ticks one off", self.one_toggles),
            ("Both go offline and edit the same todos", self.edit_apart),
            ("Both go offline again, and Ben deletes everything", self.delete_everything),
            ("The server is killed in the middle of a stream of edits", self.kill_server),
            (f"Anna loads {self.dataset_name} while Ben is away", self.load_data),
        ]

    async def both_add(self) -> None:
        await asyncio.gather(self.anna.start(), self.ben.start())
        self.stage.say("Anna writes a1, a2, a3 and Ben b1, b2, b3, each into a store of their own process.")
        for person, letter in ((self.anna, "a"), (self.ben, "b")):
            for number, text in enumerate(("Buy milk", "Call grandmother", "Mend the bicycle"), start=1):
                await person.do("add", row_id=f"{letter}{number}", text=f"{text} ({person.name})")
        await self.settle()

    async def one_toggles(self) -> None:
        await self.ben.do("toggle", row_id="a1")
        await self.settle()
        self.stage.say("It was Anna's todo; she has the tick as well.")

    async def edit_apart(self) -> None:
        await self.go_offline()
        self.stage.say(
            "Anna renames a2, ticks b1 off and deletes b2. Ben renames a2 too, and b2, and ticks b3 off."
        )
        await self.anna.do("edit", row_id="a2", text="Call grandmother on Sunday")
        await self.anna.do("toggle", row_id="b1")
        await self.anna.do("delete", row_id="b2")
        await self.ben.do("edit", row_id="a2", text="Call grandmother tonight")
        await self.ben.do("edit", row_id="b2", text="Call grandmother, then mother")
        await self.ben.do("toggle", row_id="b3")
        self.stage.show()
        await self.go_online()
        self.stage.say(
            "Online again: one name for a2 on both sides, both ticks, and no b2, although Ben edited it."
        )

    async def delete_everything(self) -> None:
        await self.go_offline()
        await self.anna.do("edit", row_id="a1", text="Buy oat milk")
        await self.anna.do("add", row_id="a4", text="Water the plants (Anna)")
        await self.ben.do("delete_all")
        await self.ben.do("add", row_id="c1", text="Start afresh (Ben)")
        self.stage.show()
        await self.go_online()
        self.stage.say("What Ben deleted is gone on both sides; a4, which he had never seen, has stayed.")

    async def go_offline(self) -> None:
        await asyncio.gather(self.anna.do("pause"), self.ben.do("pause"))

    async def go_online(self) -> None:
        await asyncio.gather(self.anna.do("resume"), self.ben.do("resume"))
        await self.settle()

    async def kill_server(self) -> None:
        await self.anna.tell("stream", prefix="s", count=STREAMED)
        while not self.count_streamed(self.ben):
            self.state_told.clear()
            await asyncio.wait_for(self.state_told.wait(), PATIENCE)
        await self.server.kill()
        self.stage.say(
            f"SIGKILL, with {self.count_streamed(self.ben)} of Anna's {STREAMED} todos on Ben's side."
        )
        await self.anna.answer()
        self.stage.say(f"Anna has gone on writing: {STREAMED} are on her disk. The server starts again.")
        await self.server.start()
        await self.settle()
        self.stage.say(f"Ben has {self.count_streamed(self.ben)} of {STREAMED}.")

    def count_streamed(self, person: ReplicaActor) -> int:
        return sum(row_id.startswith("s") for row_id in person.state["todo"])

    async def load_data(self) -> None:
        await self.ben.stop()
        self.stage.say("Ben's program has ended.")
        started = time.perf_counter()
        count = await self.anna.do("load", rows=self.dataset)
        await self.anna.do("settle")
        self.stage.say(
            f"{count} rows are on the server, {time.perf_counter() - started:.2f} s after Anna got them."
        )
        started = time.perf_counter()
        await self.ben.start()
        await self.settle()
        self.stage.say(
            f"Ben is back and has them all, {time.perf_counter() - started:.2f} s after his program started."
        )

    async def settle(self) -> None:
        """Wait until both have everything; twice, as what one sent may have been under way to the other."""
        for person in (self.anna, self.ben, self.anna, self.ben):
            await person.do("settle")

    async def compare_all(self) -> list[str]:
        stores = {person.name: cells_of_tables(await person.do("tables")) for person in (self.anna, self.ben)}
        await asyncio.gather(self.anna.stop(), self.ben.stop())
        await self.server.stop()
        (room,) = self.server.data_dir.rglob("*.db")
        files = {
            "Anna's database": self.anna.database,
            "Ben's database": self.ben.database,
            "the server's room": room,
        }
        contents = {f"{name}'s store": cells for name, cells in stores.items()}
        contents |= {name: await cells_of_database(path, TABLES) for name, path in files.items()}
        differences = self.compare_with_first(contents)
        differences += self.compare_with_first(
            {f"{name} (plain SQL)": raw_cells(path, TABLES) for name, path in files.items()}
        )
        expected = {
            ("data", row_id, name): cell for row_id, row in self.dataset.items() for name, cell in row.items()
        }
        loaded = {place: cell for place, cell in stores["Ben"].items() if place[0] == "data"}
        return differences + compare(self.dataset_name, expected, "Ben's store", loaded)

    def compare_with_first(self, contents: dict[str, dict[tuple[str, str, str], object]]) -> list[str]:
        (first_name, first), *others = contents.items()
        differences = []
        for name, cells in others:
            found = compare(first_name, first, name, cells)
            verdict = "[red]✘ differs[/]" if found else "[green]✔ the same[/]"
            self.stage.say(f"{first_name} and {name}: {len(first)} and {len(cells)} cells, {verdict}")
            differences += found
        return differences


async def play(dataset: Rows, dataset_name: str) -> int:
    with tempfile.TemporaryDirectory(prefix="replicell-demo-") as folder, Stage() as stage:
        story = Story(Path(folder), stage, dataset, dataset_name)
        started = time.perf_counter()
        differences = await story.tell()
        for line in differences[:20]:
            stage.console.print(line, style="red", markup=False)
        if differences:
            stage.console.print(f"\n[bold red]{len(differences)} cells differ.[/]")
            return 1
        seconds = time.perf_counter() - started
        stage.console.print(
            f"\n[bold green]Two stores, three databases: every cell is the same.[/] ({seconds:.1f} s)"
        )
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument(
        "--input", type=Path, metavar="FILE.csv", help="a data set of your own instead of the cars"
    )
    args = parser.parse_args()
    try:
        dataset = read_csv(args.input) if args.input else read_cars()
        return asyncio.run(play(dataset, args.input.name if args.input else "the cars data set"))
    except (DatasetError, ActorError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    except TimeoutError:
        print(
            "demo: a process has not answered for a minute; run it again, and report it if it stays",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
