from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.original import Original, why_missing


@pytest.fixture(scope="session")
def original() -> Iterator[Original]:
    missing = why_missing()
    if missing:
        pytest.skip(missing)
    with Original() as original:
        yield original
