from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.case import Case
from tests.conformance.compare import describe, difference
from tests.conformance.families import FAMILIES
from tests.conformance.family import Family, Patch
from tests.conformance.original import VERSION, Original
from tests.conformance.recorded_cases import read_recorded, recording_path

DIFFERENCES = Path(__file__).parents[2] / "docs" / "differences.md"

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_case = pytest.mark.parametrize(
    ("family", "case"),
    [
        pytest.param(family, case, id=f"{family.name} {case.row}: {case.name}")
        for family in FAMILIES
        for case in family.cases
    ],
)


@every_family
def test_every_row_of_the_feature_list_has_a_case(family: Family) -> None:
    assert {case.row for case in family.cases} == set(family.rows)


@every_family
def test_every_case_has_a_recording_of_the_pinned_version_and_nothing_else_is_recorded(
    family: Family,
) -> None:
    paths = [recording_path(family, case) for case in family.cases]
    assert sorted((family.folder / "recorded").iterdir()) == sorted(paths)
    assert {read_recorded(family, case)["tinybase"] for case in family.cases} == {VERSION}


@pytest.mark.parametrize(
    "patch",
    {patch.name: patch for family in FAMILIES for patch in family.patches}.values(),
    ids=lambda patch: patch.name,
)
def test_the_docs_tell_of_every_defect_that_is_mended(patch: Patch) -> None:
    assert patch.documented in " ".join(DIFFERENCES.read_text(encoding="utf-8").split())


@every_case
def test_the_recording_is_of_the_case_as_it_is_written(family: Family, case: Case) -> None:
    recording = read_recorded(family, case)
    assert {key: recording[key] for key in case.script} == case.script


@every_case
def test_replicell_does_what_tinybase_was_recorded_to_do(family: Family, case: Case) -> None:
    recorded = read_recorded(family, case)["trace"]
    found = difference(family, case.script, recorded, family.run(case.script))
    assert found is None, describe(found)


@every_case
def test_tinybase_still_does_what_was_recorded(
    family: Family, case: Case, original_of: Callable[[Family], Original]
) -> None:
    assert original_of(family).run(case.script) == read_recorded(family, case)["trace"]
