"""TinyBase's derived modules under Node, as published and mended."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.differences import PATCHES as STORE_PATCHES
from tests.conformance.original import NODE_MODULES, Original

__all__ = ["PATCHES", "DerivedOriginal", "DerivedPatch"]

RUNNER = Path(__file__).with_name("runner.mjs")


@dataclass(frozen=True)
class DerivedPatch:
    """One replacement in the source of one of TinyBase's modules, which must fit in exactly one place."""

    module: str
    name: str
    reason: str
    original: str
    mended: str


TIDY = """
  const tidy = () =>
    mapForEach(tablesMap, (tableId, table) => {
      mapForEach(table, (rowId, row) => {
        if (collIsEmpty(row)) {
          rowIdsChanged(tableId, rowId, -1);
          mapSet(table, rowId);
        }
      });
      if (collIsEmpty(table)) {
        tableIdsChanged(tableId, -1);
        [tablesMap, tablePoolFunctions, tableCellIds].forEach((map) => mapSet(map, tableId));
      }
    });
"""

PATCHES = (
    DerivedPatch(
        "store",
        "a veto leaves no empty rows and tables",
        "TinyBase creates rows and tables before it asks whether it may.",
        "  const fluentTransaction = (actions, ...args) => {\n"
        "    transaction(() => actions(...arrayMap(args, id)));\n",
        TIDY + "  const fluentTransaction = (actions, ...args) => {\n"
        "    transaction(() => [actions(...arrayMap(args, id)), tidy()]);\n",
    ),
    DerivedPatch(
        "store",
        "a row that was vetoed has no id",
        "TinyBase returns one.",
        "      return rowId;\n    });\n  const setPartialRow",
        "      tidy();\n"
        "      return collHas(mapGet(tablesMap, tableId), rowId) ? rowId : void 0;\n"
        "    });\n  const setPartialRow",
    ),
    DerivedPatch(
        "store",
        "a row gets its defaults also where its middleware is asked",
        "TinyBase leaves them out where one cell makes a new row.",
        "const prospectiveRow = {\n"
        "                  ...(existingRowMap ? mapToObj(existingRowMap) : {}),\n"
        "                  [cellId2]: validCell,\n"
        "                };",
        "const prospectiveRow = existingRowMap\n"
        "                  ? {...mapToObj(existingRowMap), [cellId2]: validCell}\n"
        "                  : addDefaultsToRow({[cellId2]: validCell}, tableId2, rowId2);",
    ),
    DerivedPatch(
        "indexes",
        "slices with equal sort keys are sorted",
        "TinyBase takes them for unsorted and reports a change of their order where there is none.",
        "index == 0 || sorter(array[index - 1], value) <= 0,",
        "index == 0 || !(sorter(value, array[index - 1]) < 0),",
    ),
    DerivedPatch(
        "indexes",
        "an index without a sort key forgets the one it had",
        "TinyBase sorts by the sort keys of the definition before.",
        "const sortKeys = mapGet(allSortKeys, id);\n    const processRow",
        "const sortKeys = mapGet(allSortKeys, id);\n"
        "    if (isUndefined(getSortKey)) collClear(sortKeys);\n    const processRow",
    ),
    DerivedPatch(
        "indexes",
        "a sort key that goes is forgotten",
        "TinyBase goes on sorting by the last one a row had, even if the row was deleted and came again.",
        "mapSet(changedSortKeys, rowId, newSortKey);",
        "changedSortKeys.set(rowId, newSortKey);",
    ),
    DerivedPatch(
        "metrics",
        "a metric without a value is defined all the same",
        "TinyBase calls MetricIds listeners again where such a metric is redefined.",
        "if (!collHas(things, id)) {",
        "if (!collHas(allRowValues, id)) {",
    ),
    DerivedPatch(
        "metrics",
        "metrics come in the order in which they were defined",
        "TinyBase goes through them in the order in which they came to have a value.",
        "const forEachThing = (cb) => mapForEach(things, cb);",
        "const forEachThing = (cb) =>\n"
        "    mapForEach(tableIds, (id) => ifNotUndefined(mapGet(things, id), (thing) => cb(id, thing)));",
    ),
    DerivedPatch(
        "metrics",
        "averages do not drift",
        "TinyBase changes an average by rounded steps, so that it depends on its history.",
        "  const [aggregate, aggregateAdd, aggregateRemove, aggregateReplace] =\n    aggregators;\n",
        "  const [aggregate, aggregateAdd, aggregateRemove, aggregateReplace] =\n    aggregators;\n"
        "  force ||= aggregators === mapGet(numericAggregators, AVG);\n",
    ),
)


class DerivedOriginal(Original):
    """TinyBase's derived modules, given scripts and answering with traces."""

    def __init__(self) -> None:
        patches = [
            {"module": "store", "name": p.name, "from": p.original, "to": p.mended} for p in STORE_PATCHES
        ]
        patches += [{"module": p.module, "name": p.name, "from": p.original, "to": p.mended} for p in PATCHES]
        self._process = subprocess.Popen(
            ["node", str(RUNNER), str(NODE_MODULES), json.dumps(patches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
