from __future__ import annotations

import pytest

from replicell.store import MISSING, EncodedCell
from replicell.store.extractors import compile_extractor, get_cell_of

ROW: dict[str, EncodedCell] = {"age": 3, "tags": '\ufffd["good"]', "nothing": None}


def test_a_cell_id_takes_the_cell_decoded_or_missing() -> None:
    assert compile_extractor("age")("fido", dict(ROW)) == 3
    assert compile_extractor("tags")("fido", dict(ROW)) == ["good"]
    assert compile_extractor("nothing")("fido", dict(ROW)) is None
    assert compile_extractor("legs")("fido", dict(ROW)) is MISSING


def test_a_cell_id_may_take_the_cell_as_it_is_held() -> None:
    assert compile_extractor("tags", encoded=True)("fido", dict(ROW)) == '\ufffd["good"]'


def test_a_number_is_a_cell_id() -> None:
    assert compile_extractor(1)("fido", {"1": "one"}) == "one"


def test_a_function_gets_decoded_cells_and_the_row_id() -> None:
    extract = compile_extractor(lambda get_cell, row_id: (row_id, get_cell("tags"), get_cell("legs")))
    assert extract("fido", dict(ROW)) == ("fido", ["good"], MISSING)


def test_none_takes_the_default() -> None:
    assert compile_extractor(None, 1)("fido", {}) == 1
    assert compile_extractor(None)("fido", {}) is MISSING


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="a cell id or a function"):
        compile_extractor(["age"])  # type: ignore[arg-type]  # what is refused


def test_what_a_cell_is_decoded_to_may_be_changed() -> None:
    row = dict(ROW)
    tags = get_cell_of(row)("tags")
    assert isinstance(tags, list)
    tags.append("bad")
    assert get_cell_of(row)("tags") == ["good"]
