"""A script for each of the 73 rows of the TinyBase store's feature list."""

from __future__ import annotations

from tests.conformance.case import Case
from tests.conformance.store.cases.listeners import LISTENERS
from tests.conformance.store.cases.reading import READING
from tests.conformance.store.cases.schemas import SCHEMAS
from tests.conformance.store.cases.transactions import TRANSACTIONS
from tests.conformance.store.cases.writing import WRITING

__all__ = ["CASES", "ROWS"]

ROWS = range(1, 74)
CASES: tuple[Case, ...] = (*READING, *WRITING, *SCHEMAS, *TRANSACTIONS, *LISTENERS)
