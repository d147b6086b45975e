from __future__ import annotations

import pytest

from tests.conformance.cases.case import Case
from tests.conformance.compare import Difference, describe
from tests.conformance.derived.cases import CASES, ROWS
from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.derived.recorded_cases import FOLDER, read_recorded, recording_path
from tests.conformance.derived.twin import run_script
from tests.conformance.differences import first_difference
from tests.conformance.original import VERSION

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}: {case.name}")


def test_every_row_of_the_feature_list_has_a_case() -> None:
    assert {case.row for case in CASES} == set(ROWS)


def test_every_case_has_a_recording_of_the_pinned_version_and_nothing_else_is_recorded() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {recording_path(case).name for case in CASES}
    assert len({recording_path(case) for case in CASES}) == len(CASES)
    assert {read_recorded(case)["tinybase"] for case in CASES} == {VERSION}


@every_case
def test_the_recording_is_of_the_case_as_it_is_written(case: Case) -> None:
    recording = read_recorded(case)
    assert {key: recording[key] for key in case.script} == case.script


@every_case
def test_replicell_does_what_tinybase_was_recorded_to_do(case: Case) -> None:
    recorded = read_recorded(case)["trace"]
    ours = run_script(case.script)
    at = first_difference(recorded, ours)
    assert at is None, describe(Difference(case.script, recorded, ours, at))


@every_case
def test_tinybase_still_does_what_was_recorded(case: Case, original: DerivedOriginal) -> None:
    assert original.run(case.script) == read_recorded(case)["trace"]
