// Runs scripts on the real TinyBase and answers with what was observed: one JSON request a line in, one answer a line out.
//
//   {"scripts": [...]}  ->  {"traces": [...]}
//
// Scripts, traces and the tags below are described in values.py and twin.py, which does the same on replicell.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const [nodeModules, patchesJson] = process.argv.slice(2);
const storeModule = join(nodeModules, 'tinybase', 'store', 'index.js');

const importMended = async () => {
  let source = readFileSync(storeModule, 'utf8');
  for (const {name, from, to} of JSON.parse(patchesJson)) {
    if (source.split(from).length != 2) {
      throw new Error(`the patch "${name}" does not fit TinyBase's source in exactly one place`);
    }
    source = source.replace(from, () => to);
  }
  return import('data:text/javascript;base64,' + Buffer.from(source).toString('base64'));
};

const {createStore: createRealStore} = await import(pathToFileURL(storeModule).href);
const {createStore: createMendedStore} = await importMended();

const EVENT_LIMIT = 3000;
const DEPTH_LIMIT = 3;

class Instance {}

const encode = (thing) => {
  switch (typeof thing) {
    case 'undefined':
      return {$: 'undefined'};
    case 'number':
      return Number.isFinite(thing) ? thing : {$: String(thing)};
    case 'function':
      return {$: 'function'};
    case 'object':
      if (thing === null) {
        return null;
      }
      if (Array.isArray(thing)) {
        return thing.map(encode);
      }
      if (thing instanceof Instance) {
        return {$: 'instance'};
      }
      return Object.fromEntries(Object.entries(thing).map(([id, child]) => [id, encode(child)]));
    default:
      return thing;
  }
};

const keyOrZero = (key) => key ?? 0;

const sorters = {
  reverse: (key1, key2) => keyOrZero(key2) - keyOrZero(key1),
  length: (key1, key2) => String(keyOrZero(key1)).length - String(keyOrZero(key2)).length,
};

const decode = (thing, log) => {
  if (typeof thing != 'object' || thing === null) {
    return thing;
  }
  if (Array.isArray(thing)) {
    return thing.map((child) => decode(child, log));
  }
  switch (thing.$) {
    case undefined:
      return Object.fromEntries(Object.entries(thing).map(([id, child]) => [id, decode(child, log)]));
    case 'undefined':
      return undefined;
    case 'NaN':
    case 'Infinity':
    case '-Infinity':
      return Number(thing.$);
    case 'instance':
      return new Instance();
    case 'sorter':
      return sorters[thing.by];
    case 'constant':
      return () => {
        log.push(['update']);
        return decode(thing.value, log);
      };
    case 'increment':
      return (current) => {
        log.push(['update', encode(current)]);
        return typeof current == 'number' ? current + 1 : 1;
      };
    case 'fail':
      return (current) => {
        log.push(['update', encode(current)]);
        throw new Error(thing.message);
      };
    default:
      throw new Error('unknown tag ' + thing.$);
  }
};

const orderedContent = (store) => {
  const tables = [];
  store.forEachTable((tableId, forEachRow) => {
    const rows = [];
    forEachRow((rowId, forEachCell) => {
      const cells = [];
      forEachCell((cellId, cell) => cells.push([cellId, encode(cell)]));
      rows.push([rowId, cells]);
    });
    tables.push([tableId, rows]);
  });
  const values = [];
  store.forEachValue((valueId, value) => values.push([valueId, encode(value)]));
  return [tables, values];
};

const iterate = (store, method, ids) => {
  const seen = [];
  const descend = (id, child) => {
    if (typeof child != 'function') {
      seen.push([id, encode(child)]);
      return;
    }
    seen.push([id]);
    child(descend);
  };
  store[method](...ids, descend);
  return seen;
};

const runScript = ({probes = [], valueProbes = [], ops, mended = false}) => {
  const log = [];
  const store = (mended ? createMendedStore : createRealStore)();
  const seen = (thing) => (thing === store ? {$: 'store'} : encode(thing));
  let listeners = 0;
  let depth = 0;

  const probeChanges = (kind, args, getChange) => {
    const paths = kind.startsWith('Value') ? valueProbes.map((valueId) => [valueId]) : probes;
    const ownPaths = kind == 'Cell' ? [args.slice(1, 4)] : kind == 'Value' ? [args.slice(1, 2)] : [];
    return [...paths, ...ownPaths].map((path) => encode(getChange(...path)));
  };

  const observe = (kind, args) =>
    args.map((arg) =>
      typeof arg != 'function'
        ? seen(arg)
        : kind.endsWith('Ids')
          ? encode(arg())
          : probeChanges(kind, args, arg),
    );

  const createListener = (kind, {ops = [], fails = [], times = 1} = {}) => {
    const label = listeners++;
    let calls = 0;
    return (...args) => {
      log.push(['call', label, kind, ...observe(kind, args)]);
      calls++;
      if (calls <= times && depth < DEPTH_LIMIT && log.length < EVENT_LIMIT) {
        depth++;
        try {
          runOps(ops);
        } finally {
          depth--;
        }
      }
      if (fails.includes(calls)) {
        throw new Error(`listener ${label} call ${calls}`);
      }
    };
  };

  const special = {
    transaction: (ops, rollback) =>
      store.transaction(
        () => {
          runOps(ops);
          return 'done';
        },
        rollback == null ? undefined : createRollback(rollback),
      ),
    finishTransaction: (rollback) =>
      store.finishTransaction(rollback == null ? undefined : createRollback(rollback)),
    throw: (message) => {
      throw new Error(message);
    },
    try: (ops) => {
      try {
        runOps(ops);
      } catch (error) {
        return error.message;
      }
    },
    listen: (kind, ids, behaviour, mutator) => {
      const listener = createListener(kind, behaviour);
      return kind.endsWith('Transaction')
        ? store[`add${kind}Listener`](listener)
        : store[`add${kind}Listener`](...decode(ids, log), listener, mutator);
    },
    iterate: (method, ...ids) => iterate(store, method, ids),
  };

  const createRollback =
    ({ops = [], result, fails}) =>
    (...args) => {
      log.push(['rollback?', ...args.map(seen)]);
      runOps(ops);
      if (fails) {
        throw new Error(fails);
      }
      return result;
    };

  const runOp = ([method, ...args]) => {
    try {
      const result = Object.hasOwn(special, method)
        ? special[method](...args)
        : store[method](...args.map((arg) => decode(arg, log)));
      log.push(['=', seen(result)]);
    } catch (error) {
      log.push(['!', error.constructor == Error ? error.message : error.constructor.name]);
      throw error;
    }
  };

  const runOps = (ops) => ops.forEach(runOp);

  let lastContent = '[[],[]]';
  for (const op of ops) {
    try {
      runOp(op);
    } catch {
      // the log has it
    }
    const content = orderedContent(store);
    const contentJson = JSON.stringify(content);
    if (contentJson != lastContent) {
      lastContent = contentJson;
      log.push(['content', ...content]);
    }
  }
  return log;
};

for await (const line of createInterface({input: process.stdin, crlfDelay: Infinity})) {
  const {scripts} = JSON.parse(line);
  process.stdout.write(JSON.stringify({traces: scripts.map(runScript)}) + '\n');
}
