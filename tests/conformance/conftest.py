from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.conformance.family import Family
from tests.conformance.original import Original, why_missing


@pytest.fixture(scope="session")
def original_of() -> Iterator[Callable[[Family], Original]]:
    """TinyBase, one process for each family that is asked for."""
    missing = why_missing()
    if missing:
        pytest.skip(missing)
    with ExitStack() as processes:
        yield cache(lambda family: processes.enter_context(Original(family)))
