// Runs scripts over TinyBase's queries, as twin.py does on replicell's.

import {collect, decode, encode, importTinyBase, isNumber, serve} from '../harness.mjs';

const tinybase = await importTinyBase('store', 'queries');

const numberOr = (thing, other) => (isNumber(thing) ? thing : other);

// Each has its twin of the same name in twin.py.
const functions = {
  double: (getCell) => {
    const n = getCell('n');
    return isNumber(n) ? n * 2 : undefined;
  },
  rowId: (_getCell, rowId) => 'of ' + rowId,
  both: (getCell) => (getCell('a') === undefined ? undefined : [getCell('a'), getCell('b') ?? null]),
  joined: (getCell) => getCell('t2', 'n') ?? getCell('n'),
  big: (getCell) => numberOr(getCell('n'), 0) > 1,
  joinedBig: (getCell) => numberOr(getCell('t2', 'n'), 0) >= 1,
  link: (getCell, rowId) => getCell('link') ?? rowId,
  upper: (cellId) => cellId.toUpperCase(),
  manyOrBig: (getCell) => numberOr(getCell('many'), 0) > 1 || numberOr(getCell('sum'), 0) > 3,
  spread: (cells) =>
    Math.max(...cells.map((cell) => numberOr(cell, 0))) - Math.min(...cells.map((cell) => numberOr(cell, 0))),
  total: (cells) => cells.reduce((sum, cell) => sum + numberOr(cell, 0), 0),
  totalAdd: (total, cell) => total + numberOr(cell, 0),
  totalRemove: (total, cell) => total - numberOr(cell, 0),
  totalReplace: (total, cell, old) => total - numberOr(old, 0) + numberOr(cell, 0),
  fail: () => {
    throw new Error('fail');
  },
};

const named = (clause, alias) => (alias == null ? 0 : clause.as(alias));

const buildOf =
  (clauses) =>
  ({select, selectAll, join, where, group, having, param}) =>
    clauses.forEach(([kind, {args = [], as, fn, fns = []}]) => {
      const given = [
        ...decode(args, {param: ({value}) => param(value)}),
        ...(fn ? [functions[fn]] : []),
        ...fns.map((name) => functions[name]),
      ];
      switch (kind) {
        case 'select':
          return named(select(...given), as);
        case 'selectAll':
          return selectAll(...given);
        case 'join':
          return named(join(...given), as);
        case 'where':
          return where(...given);
        case 'group':
          return named(group(...given), as);
        case 'having':
          return having(...given);
        default:
          throw new Error('unknown clause ' + kind);
      }
    });

const runScript = ({ops, mended = false}) => {
  const trace = [];
  const {createStore, createQueries} = tinybase(mended);
  const store = createStore();
  const queries = createQueries(store);
  const listenerIds = [];

  const hear = (kind) => {
    const label = listenerIds.length;
    return (...args) =>
      trace.push([
        'call',
        label,
        kind,
        ...args.slice(1).map((arg) => (typeof arg != 'function' ? encode(arg) : kind.endsWith('Ids') ? arg() : '*')),
      ]);
  };

  const special = {
    define: (queryId, source, clauses, params) =>
      queries.setQueryDefinition(
        queryId,
        ...(source.query ? [true, source.query] : [source.table]),
        buildOf(clauses),
        ...(params ? [params] : []),
      ),
    transaction: (ops) => store.transaction(() => ops.forEach(runOp)),
    listen: (kind, ids) => {
      const listenerId = queries[`add${kind}Listener`](...decode(ids), hear(kind));
      listenerIds.push(listenerId);
    },
    unlisten: (label) => queries.delListener(listenerIds[label] ?? 'none'),
    stats: () => trace.push(['stats', queries.getListenerStats()]),
    read: (method, ...args) => trace.push(['read', method, encode(queries[method](...decode(args)))]),
  };

  const runOp = ([method, ...args]) => {
    try {
      if (Object.hasOwn(special, method)) {
        special[method](...args);
      } else {
        (method.includes('Query') || method.includes('Param') ? queries : store)[method](...decode(args));
      }
    } catch (error) {
      trace.push(['!', error.message]);
    }
  };

  const results = () =>
    queries.getQueryIds().map((queryId) => {
      const rows = collect(queries.forEachResultRow, queryId).map(([rowId, forEachCell]) => [
        rowId,
        encode(collect(forEachCell)).sort(([id1], [id2]) => (id1 < id2 ? -1 : 1)),
      ]);
      return [queryId, queries.getTableId(queryId), queries.getParamValues(queryId), rows];
    });

  for (const op of ops) {
    runOp(op);
    trace.push(['results', results()]);
  }
  return trace;
};

await serve(runScript);
