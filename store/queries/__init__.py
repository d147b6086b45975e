"""Queries (TinyQL): results derived from a store's tables and kept up to date as they change.

`queries` is the object itself, `listening` and `reading` the methods it inherits, `builder` what a build
function is given, `clauses` what it says with it. A `live` query takes the rows that belong together from a
`plan` (by `links`, or by `expansion` where rows multiply), makes a `selection` of their cells, and passes it
through `grouping` (with `aggregates`) and `ordering` into its table of `results`; `publishing` says when.
"""

from replicell.store.queries.builder import QueryBuilder
from replicell.store.queries.clauses import GetTableCell
from replicell.store.queries.queries import Queries, create_queries

__all__ = ["GetTableCell", "Queries", "QueryBuilder", "create_queries"]
