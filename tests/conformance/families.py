"""The three families: the store, what is derived from it, and queries."""

from __future__ import annotations

from tests.conformance.derived.cases import CASES as DERIVED_CASES
from tests.conformance.derived.cases import ROWS as DERIVED_ROWS
from tests.conformance.derived.generate import random_script as random_derived_script
from tests.conformance.derived.patches import PATCHES as DERIVED_PATCHES
from tests.conformance.derived.twin import run_script as run_derived_script
from tests.conformance.family import Family
from tests.conformance.queries.cases import CASES as QUERY_CASES
from tests.conformance.queries.cases import ROWS as QUERY_ROWS
from tests.conformance.queries.compare import first_difference, is_whole
from tests.conformance.queries.generate import random_script as random_query_script
from tests.conformance.queries.patches import PATCHES as QUERY_PATCHES
from tests.conformance.queries.twin import run_script as run_query_script
from tests.conformance.queries.twin import run_script_looking_at_all_rows
from tests.conformance.store.cases import CASES as STORE_CASES
from tests.conformance.store.cases import ROWS as STORE_ROWS
from tests.conformance.store.generate import random_script as random_store_script
from tests.conformance.store.patches import PATCHES as STORE_PATCHES
from tests.conformance.store.twin import run_script as run_store_script

__all__ = ["DERIVED", "FAMILIES", "QUERIES", "STORE"]

STORE = Family(
    name="store",
    rows=STORE_ROWS,
    cases=STORE_CASES,
    patches=STORE_PATCHES,
    scripts=2000,
    random_script=random_store_script,
    run=run_store_script,
)
DERIVED = Family(
    name="derived",
    rows=DERIVED_ROWS,
    cases=DERIVED_CASES,
    patches=(*STORE_PATCHES, *DERIVED_PATCHES),
    scripts=1000,
    random_script=random_derived_script,
    run=run_derived_script,
)
QUERIES = Family(
    name="queries",
    rows=QUERY_ROWS,
    cases=QUERY_CASES,
    patches=QUERY_PATCHES,
    scripts=1200,
    random_script=random_query_script,
    run=run_query_script,
    run_alike=run_script_looking_at_all_rows,
    first_difference=first_difference,
    is_whole=is_whole,
)
FAMILIES = (STORE, DERIVED, QUERIES)
