from __future__ import annotations

from typing import Any

from tests.conformance.case import Case
from tests.conformance.derived.cases.pets import PETS, listen, listen_to_all
from tests.conformance.derived.functions import function

__all__ = ["CASES"]


def steps(*cells: Any) -> list[list[Any]]:
    """Set a cell to each of some contents, with a checkpoint after each."""
    ops: list[list[Any]] = []
    for cell in cells:
        ops += [["setCell", "t1", "r0", "n", cell], ["checkpoints.addCheckpoint"]]
    return ops


BACK, FORWARD = ["checkpoints.goBackward"], ["checkpoints.goForward"]

CASES = (
    Case(
        113,
        "A checkpoint with a label, and none without a change",
        [
            ["checkpoints.addCheckpoint", "unused"],
            PETS,
            ["checkpoints.addCheckpoint", "pets"],
            ["checkpoints.addCheckpoint", "unused"],
            ["setValue", "v1", 1],
            ["checkpoints.addCheckpoint"],
        ],
    ),
    Case(
        114, "Back and forward over checkpoints", [*steps(1, 2), BACK, BACK, BACK, FORWARD, FORWARD, FORWARD]
    ),
    Case(
        114,
        "Back saves what is pending, and a new change forgets what was undone",
        [
            *steps(1),
            ["setCell", "t1", "r0", "n", 5],
            BACK,
            FORWARD,
            BACK,
            ["setCell", "t1", "r0", "n", 6],
            FORWARD,
        ],
    ),
    Case(
        114,
        "To any checkpoint",
        [*steps(1, 2, 3, 4), *[["checkpoints.goTo", id] for id in ("1", "3", "3", "no", "0", "4")]],
    ),
    Case(
        114,
        "Rows, tables, values and objects come back",
        [
            PETS,
            ["setValues", {"v1": 1, "v2": {"k": [1]}}],
            ["setCell", "t1", "r0", "tags", ["x"]],
            ["checkpoints.addCheckpoint"],
            ["transaction", [["delTables"], ["delValue", "v2"], ["setValue", "v1", None]], False],
            BACK,
            FORWARD,
            BACK,
        ],
    ),
    Case(
        115,
        "The ids before, at and after the present",
        [
            ["checkpoints.getCheckpointIds"],
            *steps(1, 2),
            BACK,
            ["checkpoints.getCheckpointIds"],
            ["setValue", "v1", 1],
            ["checkpoints.getCheckpointIds"],
            ["checkpoints.getStore"],
        ],
    ),
    Case(
        116,
        "As many as the size, and no more after clearing",
        [
            *listen_to_all("checkpoints"),
            ["checkpoints.setSize", 2],
            *steps(1, 2, 3, 4),
            ["checkpoints.setSize", 1],
            BACK,
            ["checkpoints.clearForward"],
            ["checkpoints.clearForward"],
            *steps(7),
            BACK,
            ["checkpoints.clear"],
            *steps(8),
            ["checkpoints.setSize", 0],
            *steps(9),
        ],
    ),
    Case(
        117,
        "What comes back to what it was is no change, if cells and values do",
        [
            PETS,
            ["setValue", "v1", 1],
            ["checkpoints.addCheckpoint"],
            *listen_to_all("checkpoints"),
            ["setCell", "t1", "r0", "n", 9],
            ["setValue", "v1", 2],
            ["setCell", "t1", "r0", "n", 3],
            ["setValue", "v1", 1],
            ["setCell", "t1", "r0", "tags", ["x"]],
            ["delCell", "t1", "r0", "tags"],
            ["transaction", [["setCell", "t1", "r0", "n", 9], ["setCell", "t1", "r0", "n", 3]], False],
        ],
    ),
    Case(
        118,
        "Labels",
        [
            *steps(1),
            ["checkpoints.setCheckpoint", "1", "one"],
            ["checkpoints.setCheckpoint", "1", "one"],
            ["checkpoints.setCheckpoint", "no", "one"],
            *[["checkpoints.getCheckpoint", id] for id in ("0", "1", "no")],
            *[["checkpoints.hasCheckpoint", id] for id in ("0", "1", "no")],
            ["iterate", "checkpoints", "forEachCheckpoint"],
        ],
    ),
    Case(
        119,
        "Listeners to the ids and to labels, and their numbers",
        [
            *listen_to_all("checkpoints"),
            listen("checkpoints", "Checkpoint", "1"),
            ["transaction", [["setCell", "t1", "r0", "n", 1], ["setCell", "t1", "r0", "a", 1]], False],
            ["checkpoints.addCheckpoint", "one"],
            ["checkpoints.setCheckpoint", "1", "other"],
            BACK,
            ["setValue", "v1", 1],
            ["checkpoints.getListenerStats"],
            ["checkpoints.delListener", "1"],
            ["checkpoints.getListenerStats"],
            ["checkpoints.destroy"],
            ["setValue", "v1", 2],
            ["getListenerStats"],
            ["create", "Checkpoints"],
            ["setValue", "v1", 3],
            ["checkpoints.addCheckpoint"],
        ],
    ),
    Case(
        120,
        "Undo is one transaction that asks no middleware and is not recorded",
        [
            *steps(1),
            ["transaction", [["setCell", "t1", "r1", "n", 1], ["delRow", "t1", "r0"]], False],
            ["checkpoints.addCheckpoint"],
            listen("store", "Tables"),
            listen("store", "DidFinishTransaction"),
            listen("store", "Cell", None, None, None, mutator=True, ops=[["setValue", "seen", 1]], times=9),
            ["guard", "WillSetCell", function("veto")],
            ["guard", "WillDelCell", function("forbid")],
            BACK,
            FORWARD,
            ["setCell", "t1", "r1", "n", 5],
        ],
        mended=True,
    ),
)
