// Runs scripts on TinyBase's store, as twin.py does on replicell's.

import {createRunner, collect, decode, encode, importTinyBase, isNumber, serve, tablesInOrder, visited} from '../harness.mjs';

const tinybase = await importTinyBase('store');

const keyOrZero = (key) => key ?? 0;

const sorters = {
  reverse: (key1, key2) => keyOrZero(key2) - keyOrZero(key1),
  length: (key1, key2) => String(keyOrZero(key1)).length - String(keyOrZero(key2)).length,
};

// Each has its twin of the same name in functions.py.
const functionsTelling = (log) => {
  const tags = {
    constant: (thing) => () => {
      log.push(['update']);
      return decode(thing.value, tags);
    },
    increment: () => (current) => {
      log.push(['update', encode(current)]);
      return isNumber(current) ? current + 1 : 1;
    },
    fail: (thing) => (current) => {
      log.push(['update', encode(current)]);
      throw new Error(thing.message);
    },
    sorter: (thing) => sorters[thing.by],
  };
  return tags;
};

const runScript = ({probes = [], valueProbes = [], ops, mended = false}) => {
  const log = [];
  const tags = functionsTelling(log);
  const store = tinybase(mended).createStore();
  const seen = (thing) => (thing === store ? {$: 'store'} : encode(thing));

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
      const listener = createListener(
        (label, ...args) => log.push(['call', label, kind, ...observe(kind, args)]),
        behaviour,
      );
      return kind.endsWith('Transaction')
        ? store[`add${kind}Listener`](listener)
        : store[`add${kind}Listener`](...decode(ids, tags), listener, mutator);
    },
    iterate: (method, ...ids) => visited(store, method, ...ids),
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

  const callMethod = (method, args) => store[method](...decode(args, tags));

  const {runOps, runAndLook, createListener} = createRunner(log, special, callMethod, seen);

  return runAndLook(
    ops,
    () => ['content', tablesInOrder(store), encode(collect(store.forEachValue))],
    ['content', [], []],
  );
};

await serve(runScript);
