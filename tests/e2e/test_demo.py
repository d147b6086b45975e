"""``make demo``: the story ends well, with the cars and with a user's file, and tells when it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo.actors import PATIENCE
from examples.demo.verdict import compare

ROOT = Path(__file__).parent.parent.parent


def run_demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_story_ends_with_every_cell_the_same() -> None:
    result = run_demo()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every cell is the same" in result.stdout
    assert "406 rows" in result.stdout
    assert "differs" not in result.stdout
    assert result.stdout.count("● synced") == 12
    assert "syncing" not in result.stdout
    assert result.stderr == ""


@pytest.mark.timeout(120)
def test_the_story_takes_a_file_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "birds.csv"
    file.write_text('id,Name,weight,ringed on,note\n7,Żuraw,5.5,2026-01-02,\n8,robin,0.02,,"says ""tick"""\n')
    result = run_demo("--input", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every cell is the same" in result.stdout
    assert "birds.csv" in result.stdout


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        (b"", "holds no rows"),
        (b"a,b\n", "holds no rows"),
        (b"a,A\n1,2\n", "named twice"),
        (b"a,b\n1,2\n1\n", "line 3"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b'"a""b",c\n1,2\n', "double quote"),
        (b"_ID,c\n1,2\n", "the demo's key column"),
        (b"a__crsql_b,c\n1,2\n", "reserved"),
        (",".join(f"c{number}" for number in range(499)).encode() + b"\n", "holds no rows"),
        (b"\n".join([b",".join(b"%d" % column for column in range(499))] * 2), "499 columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_reason(
    content: bytes | None, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "odd.csv"
    if content is not None:
        file.write_bytes(content)
    result = run_demo("--input", str(file))
    assert result.returncode == 1
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.timeout(120)
def test_ctrl_c_ends_everything_with_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None and demo.stderr is not None
        for line in demo.stdout:
            if line.startswith("2. "):
                break
        # As a terminal does: to the whole foreground group.
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.stderr.read() == "demo: stopped\n"
        assert demo.wait(PATIENCE) == 130


def test_the_verdict_tells_every_kind_of_difference() -> None:
    one = {("t", "r", "same"): 1, ("t", "r", "type"): 1, ("t", "r", "gone"): None}
    other = {("t", "r", "same"): 1, ("t", "r", "type"): True, ("t", "r", "new"): "x"}
    assert compare("A", one, "B", other) == [
        "t/r/gone: A has None, B has MISSING",
        "t/r/new: A has MISSING, B has 'x'",
        "t/r/type: A has 1, B has True",
    ]
