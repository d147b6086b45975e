"""Where queries differ from those of TinyBase 10.0.1 on purpose."""

from __future__ import annotations

from tests.conformance.family import Patch

__all__ = ["PATCHES"]

PATCHES = (
    Patch(
        "a group that having hides keeps its row id to itself",
        "A group keeps its result row id",
        "TinyBase (C9) gives the id to another group and then lets one overwrite the other.",
        "resultStore2.delRow(queryId, groupRowId);",
        """{
                  resultStore2.delRow(queryId, groupRowId);
                  if (collIsEmpty(selectedRowIds) && !isUndefined(groupRowId)) {
                    freeIds.push(groupRowId);
                    leaf[2] = void 0;
                    if (!--numbered) {
                      freeIds.length = nextId = 0;
                    }
                  }
                }""",
        module="queries",
    ),
    Patch(
        "ids of groups, handed out",
        "A group keeps its result row id",
        "The other half of the same.",
        "leaf[2] = resultStore2.addRow(queryId, {...groupRow});",
        """if (Object.values(groupRow).some((cell) => !isUndefined(cell))) {
                    numbered++;
                    leaf[2] = freeIds.shift() ?? EMPTY_STRING + nextId++;
                    resultStore2.setRow(queryId, leaf[2], {...groupRow});
                  }""",
        module="queries",
    ),
    Patch(
        "ids of groups, counted",
        "A group keeps its result row id",
        "The rest of it.",
        "const tree = mapNew();",
        "const tree = mapNew(), freeIds = []; let nextId = 0, numbered = 0;",
        module="queries",
    ),
    Patch(
        "what is joined beyond a lost link is lost too",
        "A lost link takes what is joined beyond it along",
        "TinyBase goes on showing the cells of the row that was joined to the row that is no longer joined.",
        """                isUndefined(remoteRowId)
                  ? void 0
                  : [""",
        """                isUndefined(remoteRowId)
                  ? (mapSet(remoteIdPairs, rootRowId),
                    listenToTable(rootRowId, remoteSourceStore, realJoinedTableId, 'none', nextJoinAliases))
                  : [""",
        module="queries",
    ),
)
