from __future__ import annotations

from typing import Any

from tests.conformance.case import Case
from tests.conformance.derived.cases.pets import PETS, listen, listen_to_all
from tests.conformance.derived.functions import function

__all__ = ["CASES"]


def relationship(*definition: Any) -> list[Any]:
    return ["relationships.setRelationshipDefinition", *definition]


CHAIN = relationship("q1", "t1", "t1", "next")

CASES = (
    Case(
        91,
        "By a cell or a function, as strings",
        [
            relationship("q1", "t1", "t2", "a"),
            relationship("q2", "t1", "t2", function("firstOfN")),
            relationship("q3", "t1", "t2", function("rowId")),
            relationship("q4", "t1", "t2", function("nothing")),
            PETS,
            ["setTable", "t1", {"r0": {"a": 1}, "r1": {"a": None}, "r2": {"a": True}, "r3": {"n": 2}}],
        ],
    ),
    Case(
        92,
        "Remote rows, that need not be there, and what is not",
        [
            *listen_to_all("relationships"),
            CHAIN,
            PETS,
            *[["relationships.getRemoteRowId", *ids] for ids in (("q1", "r0"), ("q1", "r2"), ("no", "r0"))],
            *[["relationships.getLocalTableId", id] for id in ("q1", "no")],
            *[["relationships.getRemoteTableId", id] for id in ("q1", "no")],
            *[["relationships.hasRelationship", id] for id in ("q1", "no")],
            ["relationships.getRelationshipIds"],
            ["iterate", "relationships", "forEachRelationship"],
            ["relationships.getListenerStats"],
            ["relationships.delRelationshipDefinition", "q1"],
            ["relationships.delRelationshipDefinition", "no"],
            CHAIN,
            ["relationships.destroy"],
            ["relationships.getStore"],
        ],
    ),
    Case(
        93,
        "Local rows in the order in which they were linked",
        [
            relationship("q1", "t1", "t2", "next"),
            ["setTable", "t1", {"r3": {"next": "x"}, "r1": {"next": "x"}, "r2": {"next": "y"}}],
            ["relationships.getLocalRowIds", "q1", "x"],
            ["setCell", "t1", "r2", "next", "x"],
            ["setCell", "t1", "r3", "next", "y"],
            ["setCell", "t1", "r3", "next", "x"],
            ["relationships.getLocalRowIds", "q1", "x"],
            ["relationships.getLocalRowIds", "q1", "no"],
            ["relationships.getLocalRowIds", "no", "x"],
            ["delTable", "t1"],
        ],
    ),
    Case(
        94,
        "Chains of rows end where they meet themselves",
        [
            PETS,
            CHAIN,
            *[["relationships.getLinkedRowIds", "q1", row_id] for row_id in ("r0", "r3", "no")],
            ["setCell", "t1", "r2", "next", "r0"],
            ["relationships.getLinkedRowIds", "q1", "r1"],
            ["setCell", "t1", "r2", "next", "r2"],
            ["relationships.getLinkedRowIds", "q1", "r1"],
            relationship("q2", "t1", "t2", "next"),
            ["relationships.getLinkedRowIds", "q2", "r0"],
            ["relationships.getLinkedRowIds", "no", "r0"],
        ],
    ),
    Case(
        95,
        "Links told from both sides, after the rows",
        [
            CHAIN,
            *listen_to_all("relationships"),
            listen("relationships", "RemoteRowId", "q1", "r0"),
            listen("relationships", "LocalRowIds", "q1", "r1"),
            listen("store", "Row", "t1", None),
            listen("store", "Table", "t1"),
            PETS,
            ["setCell", "t1", "r0", "n", 9],
            ["setCell", "t1", "r0", "next", "r3"],
            ["transaction", [["delRow", "t1", "r1"], ["setCell", "t1", "r2", "next", "r2"]], False],
            ["delTable", "t1"],
        ],
    ),
    Case(
        96,
        "A listened chain is told when a row in it changes its link",
        [
            listen("relationships", "LinkedRowIds", "q1", "r3"),
            CHAIN,
            listen("relationships", "LinkedRowIds", "q1", "r0"),
            listen("relationships", "LinkedRowIds", "q1", "r0"),
            PETS,
            ["setCell", "t1", "r1", "next", "r9"],
            ["setCell", "t1", "r2", "next", "r1"],
            ["delRow", "t1", "r0"],
            ["relationships.delListener", "1"],
            ["relationships.getListenerStats"],
            ["setRow", "t1", "r0", {"next": "r1"}],
            ["relationships.delListener", "2"],
            ["delCell", "t1", "r0", "next"],
        ],
    ),
    Case(
        97,
        "A redefinition tells the chains that differ",
        [
            PETS,
            CHAIN,
            listen("relationships", "LinkedRowIds", "q1", "r0"),
            listen("relationships", "LinkedRowIds", "q1", "r2"),
            listen("relationships", "LinkedRowIds", "q1", "r3"),
            *listen_to_all("relationships"),
            relationship("q1", "t1", "t1", function("firstOfN")),
            relationship("q1", "t1", "t2", function("firstOfN")),
            CHAIN,
            ["setCell", "t1", "r0", "next", "r2"],
        ],
    ),
)
