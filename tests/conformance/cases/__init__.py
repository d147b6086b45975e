"""A script for each of the 73 rows of the TinyBase store's feature list."""

from __future__ import annotations

from tests.conformance.cases.case import Case
from tests.conformance.cases.listeners import LISTENERS
from tests.conformance.cases.reading import READING
from tests.conformance.cases.schemas import SCHEMAS
from tests.conformance.cases.transactions import TRANSACTIONS
from tests.conformance.cases.writing import WRITING

__all__ = ["CASES", "ROWS", "Case"]

ROWS = range(1, 74)
CASES: tuple[Case, ...] = (*READING, *WRITING, *SCHEMAS, *TRANSACTIONS, *LISTENERS)
