"""Reactive tables for Python that live in memory, rest in SQLite and replicate between machines."""

from replicell.errors import ReplicellError

__all__ = ["ReplicellError", "__version__"]

__version__ = "0.1.0"
