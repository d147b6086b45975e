from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.original import why_missing
from tests.conformance.queries.compare import OriginalQueries


@pytest.fixture(scope="session")
def original_queries() -> Iterator[OriginalQueries]:
    missing = why_missing()
    if missing:
        pytest.skip(missing)
    with OriginalQueries() as original:
        yield original
