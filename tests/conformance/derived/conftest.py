from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.original import why_missing


@pytest.fixture(scope="session")
def original() -> Iterator[DerivedOriginal]:
    missing = why_missing()
    if missing:
        pytest.skip(missing)
    with DerivedOriginal() as original:
        yield original
