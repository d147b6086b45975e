"""Data frames: tables and query results as Arrow, which every data frame library reads, and the way back.

`Store.frame`, `Queries.result_frame` and `Store.set_table_from` are the doors. pyarrow and narwhals are
imported only when a frame is really made or read.
"""

from replicell.store.frames.frame import Frame

__all__ = ["Frame"]
