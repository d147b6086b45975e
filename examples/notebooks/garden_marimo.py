"""A garden, planned together: a replica in a marimo notebook.

Open it with ``marimo edit examples/notebooks/garden_marimo.py``.
"""

# mypy: disable-error-code="no-untyped-def"
# marimo writes the signatures of cells, without types.

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="A garden, planned together")


@app.cell
async def _():
    import tempfile
    from pathlib import Path

    import marimo as mo
    from garden import (  # type: ignore[import-not-found]  # marimo finds it beside the notebook
        TABLES,
        chart_of_hours,
        define_hours,
        join_or_serve,
        plant,
    )

    import replicell
    from replicell.store import create_metrics, create_queries
    from replicell.store.notebook import LiveTable, LiveValue

    folder = Path(tempfile.mkdtemp())
    room, end_server = await join_or_serve(folder)
    replica = await replicell.open(folder / "mine.db", tables=TABLES, server=room)
    store = replica.store
    await replica.wait_until_synced(10)
    plant(store)
    return (
        LiveTable,
        LiveValue,
        TABLES,
        chart_of_hours,
        create_metrics,
        create_queries,
        define_hours,
        end_server,
        folder,
        mo,
        replica,
        replicell,
        room,
        store,
    )


@app.cell
def _(mo):
    mo.md("""
    # A garden, planned together

    This notebook is a **replica**: it has the table of a team in memory and in a file of its own, and shares
    it through a room on a server. Edit a cell by a double click, sort by a click on a heading.

    With the address of a room in the environment variable `REPLICELL_ROOM` it joins that; without, it starts
    a server.
    """)


@app.cell
def _(LiveTable, mo, store):
    mo.ui.anywidget(LiveTable(store, "work"))


@app.cell
def _(LiveValue, create_metrics, create_queries, define_hours, mo, store):
    metrics = create_metrics(store).set_metric_definition("hours in all", "work", "sum", "hours")
    queries = create_queries(store)
    define_hours(queries)
    # With reruns=True marimo runs the cells that refer to it whenever the number changes.
    hours_in_all = mo.ui.anywidget(LiveValue(metrics, "hours in all", reruns=True))
    return hours_in_all, queries


@app.cell
def _(chart_of_hours, hours_in_all, mo, queries):
    mo.hstack([hours_in_all, chart_of_hours(queries)], justify="start", gap=2)


@app.cell
async def _(TABLES, folder, replicell, room):
    # A colleague on another machine, with a file of her own; all goes through the server.
    colleague = await replicell.open(folder / "hers.db", tables=TABLES, server=room)
    await colleague.wait_until_synced(10)
    return (colleague,)


@app.cell
def _(colleague, mo):
    def edit(_):
        with colleague.store.transaction():
            colleague.store.set_cell("work", "w3", "hours", 8)
            colleague.store.set_row(
                "work", "w9", {"task": "pick the first apple", "who": "Edith", "hours": 0.5}
            )

    mo.ui.button(label="Let the colleague edit", on_click=edit)


@app.cell
def _(mo):
    mo.md("When you are done: `await colleague.close(); await replica.close(); await end_server()`.")


if __name__ == "__main__":
    app.run()
