from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.compare import Difference
from tests.conformance.differences import Patch
from tests.conformance.original import VERSION
from tests.conformance.queries.cases import CASES, ROWS, QueryCase
from tests.conformance.queries.compare import OriginalQueries, describe
from tests.conformance.queries.differences import PATCHES, first_difference
from tests.conformance.queries.recorded_cases import FOLDER, read_recorded, recording_path
from tests.conformance.queries.twin import run_script

DIFFERENCES = Path(__file__).parents[3] / "docs" / "differences.md"

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}: {case.name}")


def test_every_row_of_the_feature_list_has_a_case() -> None:
    assert {case.row for case in CASES} == set(ROWS)


def test_every_case_has_a_recording_of_the_pinned_version_and_nothing_else_is_recorded() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {recording_path(case).name for case in CASES}
    assert {read_recorded(case)["tinybase"] for case in CASES} == {VERSION}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_the_docs_tell_of_every_defect_that_is_mended(patch: Patch) -> None:
    assert patch.documented in " ".join(DIFFERENCES.read_text(encoding="utf-8").split())


@every_case
def test_replicell_does_what_tinybase_was_recorded_to_do(case: QueryCase) -> None:
    recorded = read_recorded(case)
    assert recorded["ops"] == case.ops
    ours = run_script(case.script)
    at = first_difference(recorded["trace"], ours)
    assert at is None, describe(Difference(case.script, recorded["trace"], ours, at))


@every_case
def test_tinybase_still_does_what_was_recorded(case: QueryCase, original_queries: OriginalQueries) -> None:
    assert original_queries.run(case.script) == read_recorded(case)["trace"]
