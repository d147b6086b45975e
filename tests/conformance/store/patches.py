"""Where the store differs from TinyBase 10.0.1 on purpose."""

from __future__ import annotations

from tests.conformance.family import Patch

__all__ = ["PATCHES"]

PATCHES = (
    Patch(
        "rollback of rich cells",
        "Rollback restores objects and arrays",
        "TinyBase validates an old object in its encoded form, takes it for a reserved string and loses it.",
        "setOrDelCell(tableId, rowId, cellId, oldCell, true),",
        "setOrDelCell(tableId, rowId, cellId, decodeIfJson(oldCell), true),",
    ),
    Patch(
        "rollback of rich values",
        "Rollback restores objects and arrays",
        "The same for values.",
        "setOrDelValue(valueId, oldValue, true),",
        "setOrDelValue(valueId, decodeIfJson(oldValue), true),",
    ),
    Patch(
        "rich cell defaults are no invalid cells",
        "Objects and arrays as schema defaults",
        "TinyBase reports an InvalidCell event each time it fills in a default that is an object or array.",
        "              : isReservedString(cell, acceptingEncodedData)\n"
        "                ? cellInvalid(tableId, rowId, cellId, cell, cellSchema[DEFAULT])",
        "              : isEncodedJson(cell) && cell === cellSchema[DEFAULT] ? cell\n"
        "              : isReservedString(cell, acceptingEncodedData)\n"
        "                ? cellInvalid(tableId, rowId, cellId, cell, cellSchema[DEFAULT])",
    ),
    Patch(
        "rich value defaults are no invalid values",
        "Objects and arrays as schema defaults",
        "The same for values.",
        "              : isReservedString(value, acceptingEncodedData)\n"
        "                ? valueInvalid(valueId, value, valueSchema[DEFAULT])",
        "              : isEncodedJson(value) && value === valueSchema[DEFAULT] ? value\n"
        "              : isReservedString(value, acceptingEncodedData)\n"
        "                ? valueInvalid(valueId, value, valueSchema[DEFAULT])",
    ),
    Patch(
        "a row that is no object is invalid under a schema too",
        "with something that is no mapping",
        "TinyBase raises a TypeError while it looks for defaults in it.",
        "const rowWithDefaults = skipDefaults\n",
        "const rowWithDefaults = skipDefaults || !isObject(row)\n",
    ),
    Patch(
        "values that are no object are invalid under a schema too",
        "with something that is no mapping",
        "TinyBase raises a TypeError while it looks for defaults in them.",
        "const valuesWithDefaults = skipDefaults\n",
        "const valuesWithDefaults = skipDefaults || !isObject(values)\n",
    ),
    Patch(
        "a sorted listener does not hide changes",
        "A listener beside a sorted listener",
        "With a SortedRowIds listener TinyBase forgets that a cell set away and back was touched.",
        ": collDel(cells, cellId),",
        ": 0,",
    ),
    Patch(
        "a tables schema is listed in the order in which it was given",
        "in JSON and schema JSON too",
        "TinyBase lists what an older schema had too where the older one had it.",
        "    mapMatch(\n      tablesSchemaMap,",
        "    [tablesSchemaMap, tablesSchemaRowCache].forEach(collClear) ??\n"
        "    mapMatch(\n      tablesSchemaMap,",
    ),
    Patch(
        "a values schema is listed in the order in which it was given",
        "in JSON and schema JSON too",
        "The same for values; after a rollback it is the order of their defaults too.",
        "    mapMatch(\n      valuesSchemaMap,",
        "    [valuesSchemaMap, valuesDefaulted, valuesNonDefaulted, valuesRequiredNonDefaulted]\n"
        "      .forEach(collClear) ??\n"
        "    mapMatch(\n      valuesSchemaMap,",
    ),
    Patch(
        "set_tables_json does not hide errors of listeners",
        "but not errors raised by listeners",
        "TinyBase ignores them together with text that is no JSON.",
        "    tryCatchSync(() =>\n"
        "      whileAcceptingEncodedData(() => setOrDelTables(jsonParse(tablesJson))),\n"
        "    );",
        "    ifNotUndefined(tryReturn(() => [jsonParse(tablesJson)]), ([tables]) =>\n"
        "      whileAcceptingEncodedData(() => setOrDelTables(tables)),\n"
        "    );",
    ),
    Patch(
        "set_values_json does not hide errors of listeners",
        "but not errors raised by listeners",
        "The same for values.",
        "    tryCatchSync(() =>\n"
        "      whileAcceptingEncodedData(() => setOrDelValues(jsonParse(valuesJson))),\n"
        "    );",
        "    ifNotUndefined(tryReturn(() => [jsonParse(valuesJson)]), ([values]) =>\n"
        "      whileAcceptingEncodedData(() => setOrDelValues(values)),\n"
        "    );",
    ),
    *(
        Patch(
            f"a listener added while others are called is called too: {group}",
            "A listener added while others are called",
            "Which kinds have listeners TinyBase looks up once, and passes over kinds that had none then.",
            original,
            original.replace("=", "= 1 ||", 1),
        )
        for group, original in (
            ("HasTables", "const hasHasTablesListeners = !collIsEmpty("),
            ("SortedRowIds", "const hasSortedRowIdListeners = !collIsEmpty("),
            ("ids of tables", "const hasIdOrHasListeners = !(\n      collIsEmpty(cellIdsListeners"),
            ("cells", "const hasOtherListeners = !(\n      collIsEmpty(cellListeners"),
            ("HasValues", "const hasHasValuesListeners = !collIsEmpty("),
            ("ids of values", "const hasIdOrHasListeners =\n      !collIsEmpty(valueIdsListeners"),
            ("values", "const hasOtherListeners =\n      !collIsEmpty(valueListeners"),
        )
    ),
    Patch(
        "a rollback reports nothing",
        "reports nothing as invalid on the way",
        "TinyBase brings rows back by setting them, and reports as invalid what the schema says they lack.",
        "addDefaultsToRow({[cellId]: validCell}, tableId, rowId),",
        "(skipMiddleware ? (row) => row : addDefaultsToRow)({[cellId]: validCell}, tableId, rowId),",
    ),
    Patch(
        "a rollback brings back the absence of a value",
        "brings back the absence of a cell or value",
        "TinyBase resets a value with a default to that default, even where there was none before.",
        "const defaultValue = mapGet(valuesDefaulted, valueId);\n    if (!isUndefined(defaultValue)) {",
        "const defaultValue = mapGet(valuesDefaulted, valueId);\n"
        "    if (!isUndefined(defaultValue) && !skipMiddleware) {",
    ),
    Patch(
        "nothing of what was rolled back is remembered",
        "Nothing of what was rolled back is remembered",
        "In TinyBase what was rolled back still orders the events of what will-finish listeners write.",
        "collClear(changedValues);",
        "[changedTableIds, changedTableCellIds, changedRowCount, changedRowIds, changedCellIds]\n"
        "    .concat([changedValueIds, changedValues]).forEach(collClear);",
    ),
    Patch(
        "InvalidCell mutators are told of what was invalid before them",
        "Mutators of invalid cells and values get a snapshot",
        "TinyBase hands them a list that grows with what they try themselves.",
        "mutator ? mapClone3(invalidCells) : invalidCells,",
        "mutator ? clonedChangedCells(invalidCells) : invalidCells,",
    ),
    Patch(
        "InvalidValue mutators are told of what was invalid before them",
        "Mutators of invalid cells and values get a snapshot",
        "The same for values.",
        "mutator ? mapClone(invalidValues) : invalidValues,",
        "mutator ? mapClone(invalidValues, pairClone) : invalidValues,",
    ),
    Patch(
        "listener stats count every SortedRowIds listener",
        "counts every sorted-row-ids listener",
        "TinyBase counts those on the same table and cell id as one.",
        "sortedRowIds: pairCollSize2(sortedRowIdsListeners),",
        "sortedRowIds: pairCollSize2(sortedRowIdsListeners, collSize3),",
    ),
    Patch(
        "no tables schema is False",
        "are False, not undefined",
        "TinyBase says undefined where no tables schema was ever set.",
        "hasTablesSchema: () => hasTablesSchema,",
        "hasTablesSchema: () => !!hasTablesSchema,",
    ),
    Patch(
        "no values schema is False",
        "are False, not undefined",
        "The same for values.",
        "hasValuesSchema: () => hasValuesSchema,",
        "hasValuesSchema: () => !!hasValuesSchema,",
    ),
)
