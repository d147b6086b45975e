"""A team plans a garden: one notebook for Jupyter, one for marimo, each a replica of a room.

Open ``garden.ipynb`` in JupyterLab or VS Code, or run ``marimo edit examples/notebooks/garden_marimo.py``.
The address of a room in the environment variable ``REPLICELL_ROOM`` makes them join that; else they start a
server.
"""
