"""Cases for the rows of the feature list that are about indexes, metrics, relationships, checkpoints,
middleware and schematizers."""

from __future__ import annotations

from tests.conformance.derived.cases.checkpoints import CASES as CHECKPOINTS
from tests.conformance.derived.cases.indexes import CASES as INDEXES
from tests.conformance.derived.cases.metrics import CASES as METRICS
from tests.conformance.derived.cases.middleware import CASES as MIDDLEWARE
from tests.conformance.derived.cases.relationships import CASES as RELATIONSHIPS
from tests.conformance.derived.cases.schematizers import CASES as SCHEMATIZERS

__all__ = ["CASES", "ROWS"]

CASES = (*INDEXES, *METRICS, *RELATIONSHIPS, *CHECKPOINTS, *MIDDLEWARE, *SCHEMATIZERS)
# Row 127, bindings to other libraries, is Python's own and has no counterpart.
ROWS = (*range(74, 98), *range(113, 127))
