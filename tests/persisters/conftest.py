"""What the tests of the persisters share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database file that does not exist yet."""
    return tmp_path / "test.db"
