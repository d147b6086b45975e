"""Where what is derived from a store differs from TinyBase 10.0.1 on purpose."""

from __future__ import annotations

from tests.conformance.family import Patch

__all__ = ["PATCHES"]

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
    Patch(
        "a veto leaves no empty rows and tables",
        "A veto leaves no empty rows and tables",
        "TinyBase creates rows and tables before it asks whether it may.",
        "  const fluentTransaction = (actions, ...args) => {\n"
        "    transaction(() => actions(...arrayMap(args, id)));\n",
        TIDY + "  const fluentTransaction = (actions, ...args) => {\n"
        "    transaction(() => [actions(...arrayMap(args, id)), tidy()]);\n",
    ),
    Patch(
        "a row that was vetoed has no id",
        "`add_row` then returns `MISSING`",
        "TinyBase returns one.",
        "      return rowId;\n    });\n  const setPartialRow",
        "      tidy();\n"
        "      return collHas(mapGet(tablesMap, tableId), rowId) ? rowId : void 0;\n"
        "    });\n  const setPartialRow",
    ),
    Patch(
        "a row gets its defaults also where its middleware is asked",
        "A row that one cell makes is offered to row callbacks with its defaults",
        "TinyBase leaves them out where one cell makes a new row.",
        "const prospectiveRow = {\n"
        "                  ...(existingRowMap ? mapToObj(existingRowMap) : {}),\n"
        "                  [cellId2]: validCell,\n"
        "                };",
        "const prospectiveRow = existingRowMap\n"
        "                  ? {...mapToObj(existingRowMap), [cellId2]: validCell}\n"
        "                  : addDefaultsToRow({[cellId2]: validCell}, tableId2, rowId2);",
    ),
    Patch(
        "slices with equal sort keys are sorted",
        "TinyBase takes slices with equal sort keys for unsorted",
        "TinyBase takes them for unsorted and reports a change of their order where there is none.",
        "index == 0 || sorter(array[index - 1], value) <= 0,",
        "index == 0 || !(sorter(value, array[index - 1]) < 0),",
        module="indexes",
    ),
    Patch(
        "an index without a sort key forgets the one it had",
        "A sort key that goes is forgotten",
        "TinyBase sorts by the sort keys of the definition before.",
        "const sortKeys = mapGet(allSortKeys, id);\n    const processRow",
        "const sortKeys = mapGet(allSortKeys, id);\n"
        "    if (isUndefined(getSortKey)) collClear(sortKeys);\n    const processRow",
        module="indexes",
    ),
    Patch(
        "a sort key that goes is forgotten",
        "A sort key that goes is forgotten",
        "TinyBase goes on sorting by the last one a row had, even if the row was deleted and came again.",
        "mapSet(changedSortKeys, rowId, newSortKey);",
        "changedSortKeys.set(rowId, newSortKey);",
        module="indexes",
    ),
    Patch(
        "a metric without a value is defined all the same",
        "A metric without a value is defined all the same",
        "TinyBase calls MetricIds listeners again where such a metric is redefined.",
        "if (!collHas(things, id)) {",
        "if (!collHas(allRowValues, id)) {",
        module="metrics",
    ),
    Patch(
        "metrics come in the order in which they were defined",
        "metrics are gone through in the order of their definition",
        "TinyBase goes through them in the order in which they came to have a value.",
        "const forEachThing = (cb) => mapForEach(things, cb);",
        "const forEachThing = (cb) =>\n"
        "    mapForEach(tableIds, (id) => ifNotUndefined(mapGet(things, id), (thing) => cb(id, thing)));",
        module="metrics",
    ),
    Patch(
        "averages do not drift",
        "Sums and averages do not drift",
        "TinyBase changes an average by rounded steps, so that it depends on its history.",
        "  const [aggregate, aggregateAdd, aggregateRemove, aggregateReplace] =\n    aggregators;\n",
        "  const [aggregate, aggregateAdd, aggregateRemove, aggregateReplace] =\n    aggregators;\n"
        "  force ||= aggregators === mapGet(numericAggregators, AVG);\n",
        module="metrics",
    ),
)
