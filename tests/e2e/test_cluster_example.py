"""The example that `make cluster` runs tells its story to the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(180)
def test_the_story_ends_with_the_same_notes_everywhere() -> None:
    story = subprocess.run(
        [sys.executable, "-m", "examples.cluster"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert story.returncode == 0, story.stdout + story.stderr
    assert story.stderr == ""
    assert "75 of 75 notes; the same at Anna, Ben, Cleo, Dora, node 0, node 1, node 2" in " ".join(
        story.stdout.split()
    )
    assert "Anna syncing 70" in " ".join(story.stdout.split())
