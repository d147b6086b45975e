// Runs scripts on TinyBase's indexes, metrics, relationships, checkpoints, middleware and schematizers, as twin.py does on
// replicell's.

import {createRunner, collect, decode, encode, importTinyBase, isNumber, serve, tablesInOrder, visited} from '../harness.mjs';

const tinybase = await importTinyBase(
  'store',
  'indexes',
  'metrics',
  'relationships',
  'checkpoints',
  'middleware',
  'schematizers',
);

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

// Each has its twin of the same name in functions.py.
const FUNCTIONS = {
  // Row extractors
  nPlus1: (getCell) => (isNumber(getCell('n')) ? getCell('n') + 1 : undefined),
  aAndB: (getCell) =>
    [getCell('a'), getCell('b')].filter((cell) => cell === null || !['undefined', 'object'].includes(typeof cell)),
  tags: (getCell) => getCell('tags'),
  rowId: (_getCell, rowId) => rowId,
  nothing: () => undefined,
  firstOfN: (getCell) => (isNumber(getCell('n')) ? `r${Math.abs(Math.trunc(getCell('n'))) % 4}` : undefined),
  // Sorters
  descendingIds: (id1, id2) => (id1 < id2 ? 1 : id1 > id2 ? -1 : 0),
  neverEqualIds: (id1, id2) => (id1 < id2 ? -1 : 1),
  descendingNumbers: (key1, key2) => (key2 ?? 0) - (key1 ?? 0),
  bySlice: (key1, key2, sliceId) => ((key1 ?? 0) - (key2 ?? 0)) * (sliceId == 'x' ? -1 : 1),
  // Aggregates
  sumOfSquares: (numbers) => sum(numbers.map((number) => number * number)),
  addSquare: (metric, add) => metric + add * add,
  removeSquare: (metric, remove) => metric - remove * remove,
  replaceSquare: (metric, add, remove) => metric + add * add - remove * remove,
  range: (numbers) => Math.max(...numbers) - Math.min(...numbers),
  lengthOnly: (_numbers, length) => length,
  addOne: (_metric, _add, length) => length + 1,
  removeOne: (_metric, _remove, length) => length - 1,
  keepLength: (_metric, _add, _remove, length) => length,
  giveUp: () => undefined,
  infinite: () => Infinity,
  // Middleware
  same: (...args) => args.at(-1),
  veto: () => undefined,
  allow: () => true,
  forbid: () => false,
  vetoX: (...args) => (args.at(-1) === 'x' ? undefined : args.at(-1)),
  vetoNumbers: (...args) => (isNumber(args.at(-1)) ? undefined : args.at(-1)),
  double: (...args) => (isNumber(args.at(-1)) ? args.at(-1) * 2 : args.at(-1)),
  invalid: () => NaN,
  protectR1: (_tableId, rowId) => rowId != 'r1',
  protectA: (...ids) => ids.at(-1) != 'a',
  protectT1: (tableId) => tableId != 't1',
  withB: (...args) => ({...args.at(-1), b: 'added'}),
  withoutA: (...args) => {
    const {a: _a, ...rest} = args.at(-1);
    return rest;
  },
  withoutR1: (...args) => {
    const {r1: _r1, ...rest} = args.at(-1);
    return rest;
  },
  onlyTables: ([tables]) => [tables, {}],
  onlyChangedValues: ([, values]) => [{}, values, 1],
};

const TAGS = {
  function: ({by}) => {
    if (!Object.hasOwn(FUNCTIONS, by)) {
      throw new Error('unknown function ' + by);
    }
    return FUNCTIONS[by];
  },
};

const ROWS = ['r0', 'r1', 'r2', 'r3', 'r4', '0', '1', '2', 'x', 'y', 'null', 'true'];

const schematizerOf = ({createCustomSchematizer}) =>
  createCustomSchematizer(
    function unwrap({optional, nullable, fallback, inner, type, values}, defaultValue, allowNull, required) {
      return inner
        ? unwrap(inner, fallback ?? defaultValue, nullable ?? allowNull, optional ? false : required)
        : [values ? {enum: values} : {type}, fallback ?? defaultValue, nullable ?? allowNull, optional ? false : required];
    },
    ({properties}) => properties,
    (_schema, _id, {optional}) => !optional,
  );

const runScript = ({ops, mended = false}) => {
  const modules = tinybase(mended);
  const log = [];
  const store = modules.createStore();
  const indexes = modules.createIndexes(store);
  const metrics = modules.createMetrics(store);
  const relationships = modules.createRelationships(store);
  const checkpoints = modules.createCheckpoints(store);
  const objects = {store, indexes, metrics, relationships, checkpoints};
  objects.schematizer = schematizerOf(modules);

  const seen = (thing) => {
    const name = Object.keys(objects).find((name) => objects[name] === thing);
    return name ? {$: name} : encode(thing);
  };

  const results = () =>
    encode([
      indexes.getIndexIds().map((id) => [
        id,
        indexes.getTableId(id),
        indexes.getSliceIds(id).map((sliceId) => [sliceId, indexes.getSliceRowIds(id, sliceId)]),
      ]),
      metrics.getMetricIds().map((id) => [id, metrics.getTableId(id), metrics.getMetric(id)]),
      relationships.getRelationshipIds().map((id) => [
        id,
        relationships.getLocalTableId(id),
        relationships.getRemoteTableId(id),
        ROWS.map((rowId) => relationships.getRemoteRowId(id, rowId)),
        ROWS.map((rowId) => relationships.getLocalRowIds(id, rowId)),
        ROWS.map((rowId) => relationships.getLinkedRowIds(id, rowId)),
      ]),
      [checkpoints.getCheckpointIds(), collect(checkpoints.forEachCheckpoint)],
    ]);

  const detail = (name, kind, ids) => {
    switch (kind) {
      case 'SliceIds':
      case 'SliceRowIds':
      case 'RemoteRowId':
      case 'LocalRowIds':
      case 'LinkedRowIds':
      case 'CheckpointIds':
        return encode(objects[name]['get' + kind](...ids));
      case 'Checkpoint':
        return encode(checkpoints.getCheckpoint(...ids));
      case 'IndexIds':
      case 'MetricIds':
      case 'RelationshipIds':
        return objects[name]['get' + kind]();
      default:
        return null;
    }
  };

  const special = {
    transaction: (ops, rollback) => store.transaction(() => runOps(ops), rollback ? () => true : undefined),
    listen: (name, kind, ids, behaviour, mutator) =>
      objects[name][`add${kind}Listener`](
        ...decode(ids, TAGS),
        createListener((label, object, ...args) => {
          const ids = args.filter((arg) => typeof arg != 'function');
          const found = name == 'store' ? results() : detail(name, kind, ids);
          log.push(['call', label, kind, seen(object), ids.map(seen), found]);
        }, behaviour),
        ...(name == 'store' && !kind.endsWith('Transaction') ? [mutator] : []),
      ),
    guard: (kind, by) => {
      objects.middleware = modules.createMiddleware(store);
      const callback = decode(by, TAGS);
      objects.middleware[`add${kind}Callback`]((...args) => {
        log.push(['guard', kind, encode(args)]);
        return callback(...args);
      });
    },
    create: (kind) => modules[`create${kind}`](store),
    iterate: (name, method, ...ids) => visited(objects[name], method, ...ids),
  };

  const callMethod = (method, args) => {
    const [name, own] = method.includes('.') ? method.split('.') : ['store', method];
    return objects[name][own](...decode(args, TAGS));
  };

  const {runOps, runAndLook, createListener} = createRunner(log, special, callMethod, seen);

  return runAndLook(ops, () => ['state', tablesInOrder(store), encode(store.getValues()), results()], null);
};

await serve(runScript);
