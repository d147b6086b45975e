"""A shared list in a window: ``python -m examples.desk --server ws://localhost:8040/home``."""

from __future__ import annotations

import argparse
import sys
import tkinter

import replicell
from examples.desk.window import TABLES, Window


def main(words: list[str] | None = None) -> int:
    """Show the list until the window is closed, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.desk", description=__doc__)
    parser.add_argument("file", nargs="?", default="desk.db", help="the file that keeps the list")
    parser.add_argument("--server", help="a room to share it in, as ws://localhost:8040/home")
    parser.add_argument("--token", help="what the server asks for")
    options = parser.parse_args(words)
    try:
        with replicell.open_blocking(
            options.file, tables=TABLES, row_id_column="id", server=options.server, token=options.token
        ) as app:
            root = tkinter.Tk()
            Window(root, app)
            app.attach_tk(root)
            root.mainloop()
    except (replicell.ReplicellError, tkinter.TclError) as error:
        print(f"desk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
