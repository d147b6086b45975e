// Runs scripts on TinyBase's indexes, metrics, relationships, checkpoints, middleware and schematizers, and answers
// with what was observed: one JSON request a line in, one answer a line out. twin.py says what scripts and traces are
// and does the same on replicell.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const [nodeModules, patchesJson] = process.argv.slice(2);
const MODULES = ['store', 'indexes', 'metrics', 'relationships', 'checkpoints', 'middleware', 'schematizers'];

const importModule = async (name, patches) => {
  const path = join(nodeModules, 'tinybase', name, 'index.js');
  if (patches.length == 0) {
    return import(pathToFileURL(path).href);
  }
  let source = readFileSync(path, 'utf8');
  for (const {name: patch, from, to} of patches) {
    if (source.split(from).length != 2) {
      throw new Error(`the patch "${patch}" does not fit TinyBase's source in exactly one place`);
    }
    source = source.replace(from, () => to);
  }
  return import('data:text/javascript;base64,' + Buffer.from(source).toString('base64'));
};

const importAll = async (patches) =>
  Object.assign(
    {},
    ...(await Promise.all(
      MODULES.map((name) => importModule(name, patches.filter(({module}) => module == name))),
    )),
  );

const published = await importAll([]);
const mended = await importAll(JSON.parse(patchesJson));

const DEPTH_LIMIT = 3;

const encode = (thing) => {
  switch (typeof thing) {
    case 'undefined':
      return {$: 'undefined'};
    case 'number':
      return Number.isFinite(thing) ? thing : {$: String(thing)};
    case 'object':
      if (thing === null) {
        return null;
      }
      if (Array.isArray(thing)) {
        return thing.map(encode);
      }
      return Object.fromEntries(Object.entries(thing).map(([id, child]) => [id, encode(child)]));
    default:
      return thing;
  }
};

const isNumber = (thing) => typeof thing == 'number';
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

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

const decode = (thing) => {
  if (typeof thing != 'object' || thing === null) {
    return thing;
  }
  if (Array.isArray(thing)) {
    return thing.map(decode);
  }
  switch (thing.$) {
    case undefined:
      return Object.fromEntries(Object.entries(thing).map(([id, child]) => [id, decode(child)]));
    case 'undefined':
      return undefined;
    case 'NaN':
      return NaN;
    case 'function':
      if (!(thing.by in FUNCTIONS)) {
        throw new Error('unknown function ' + thing.by);
      }
      return FUNCTIONS[thing.by];
    default:
      throw new Error('unknown tag ' + thing.$);
  }
};

const ROWS = ['r0', 'r1', 'r2', 'r3', 'r4', '0', '1', '2', 'x', 'y', 'null', 'true'];

const collect = (forEach) => {
  const seen = [];
  forEach((...args) => seen.push(args));
  return seen;
};

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

const runScript = ({ops, mended: isMended = false}) => {
  const tinybase = isMended ? mended : published;
  const log = [];
  const store = tinybase.createStore();
  const indexes = tinybase.createIndexes(store);
  const metrics = tinybase.createMetrics(store);
  const relationships = tinybase.createRelationships(store);
  const checkpoints = tinybase.createCheckpoints(store);
  const objects = {store, indexes, metrics, relationships, checkpoints};
  objects.schematizer = schematizerOf(tinybase);
  let listeners = 0;
  let depth = 0;

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

  const content = () =>
    collect(store.forEachTable).map(([tableId, forEachRow]) => [
      tableId,
      collect(forEachRow).map(([rowId, forEachCell]) => [rowId, encode(collect(forEachCell))]),
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

  const createListener = (name, kind, {ops = [], times = 1} = {}) => {
    const label = listeners++;
    let calls = 0;
    return (object, ...args) => {
      const ids = args.filter((arg) => typeof arg != 'function');
      log.push([
        'call',
        label,
        kind,
        seen(object),
        ids.map(seen),
        name == 'store' ? results() : detail(name, kind, ids),
      ]);
      calls++;
      if (calls <= times && depth < DEPTH_LIMIT) {
        depth++;
        try {
          runOps(ops);
        } finally {
          depth--;
        }
      }
    };
  };

  const special = {
    transaction: (ops, rollback) => store.transaction(() => runOps(ops), rollback ? () => true : undefined),
    listen: (name, kind, ids, behaviour, mutator) =>
      objects[name][`add${kind}Listener`](
        ...decode(ids),
        createListener(name, kind, behaviour),
        ...(name == 'store' && !kind.endsWith('Transaction') ? [mutator] : []),
      ),
    guard: (kind, by) => {
      objects.middleware = tinybase.createMiddleware(store);
      const callback = decode(by);
      objects.middleware[`add${kind}Callback`]((...args) => {
        log.push(['guard', kind, encode(args)]);
        return callback(...args);
      });
    },
    create: (kind) => tinybase[`create${kind}`](store),
    iterate: (name, method, ...ids) => {
      const visited = [];
      const descend = (id, child) => {
        if (typeof child == 'function') {
          visited.push([id]);
          child(descend);
        } else {
          visited.push([id, encode(child)]);
        }
      };
      objects[name][method](...ids, descend);
      return visited;
    },
  };

  const runOp = ([method, ...args]) => {
    try {
      let result;
      if (Object.hasOwn(special, method)) {
        result = special[method](...args);
      } else {
        const [name, own] = method.includes('.') ? method.split('.') : ['store', method];
        result = objects[name][own](...args.map(decode));
      }
      log.push(['=', seen(result)]);
    } catch (error) {
      log.push(['!', error.constructor == Error ? error.message : error.constructor.name]);
      throw error;
    }
  };

  const runOps = (ops) => ops.forEach(runOp);

  let last = '';
  for (const op of ops) {
    try {
      runOp(op);
    } catch {
      // the log has it
    }
    const state = [content(), encode(store.getValues()), results()];
    const stateJson = JSON.stringify(state);
    if (stateJson != last) {
      last = stateJson;
      log.push(['state', ...state]);
    }
  }
  return log;
};

for await (const line of createInterface({input: process.stdin, crlfDelay: Infinity})) {
  const {scripts} = JSON.parse(line);
  process.stdout.write(JSON.stringify({traces: scripts.map(runScript)}) + '\n');
}
