// One long-lived process that measures TinyBase's indexes, metrics and checkpoints: {"line": name, "size": n} in,
// {"measured": s} out, a line each. benchmarks/lines/derived.py has the same runs on replicell.

import {createInterface} from 'node:readline';
import {createCheckpoints} from 'tinybase/checkpoints';
import {createIndexes} from 'tinybase/indexes';
import {createMetrics} from 'tinybase/metrics';
import {createStore} from 'tinybase/store';

const LISTS = 50;
const WRITES = 300;
const UNDONE = 1000;

const filled = (size) => {
  const todos = {};
  for (let index = 0; index < size; index++) {
    todos[`row ${index}`] = {list: `list ${index % LISTS}`, rank: (index * 7919) % size, done: index % 2 == 0};
  }
  return createStore().setTables({todos});
};

const seconds = (action) => {
  globalThis.gc();
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e9;
};

const writeUnderIndexAndMetric = (size) => {
  const store = filled(size);
  createIndexes(store).setIndexDefinition('by list', 'todos', 'list');
  createMetrics(store).setMetricDefinition('ranks', 'todos', 'sum', 'rank');
  return seconds(() => {
    for (let count = 0; count < WRITES; count++) {
      const row = `row ${(count * 6007) % size}`;
      store.setPartialRow('todos', row, {list: `list ${(count * 31) % LISTS}`, rank: count});
    }
  });
};

const undo = (size) => {
  const store = filled(size);
  const checkpoints = createCheckpoints(store);
  store.transaction(() => {
    for (let count = 0; count < UNDONE; count++) {
      store.setCell('todos', `row ${count}`, 'rank', -1 - count);
    }
  });
  checkpoints.addCheckpoint('written');
  return seconds(() => checkpoints.goBackward());
};

const LINES = {write: writeUnderIndexAndMetric, undo};

for await (const request of createInterface({input: process.stdin, crlfDelay: Infinity})) {
  const {line, size} = JSON.parse(request);
  process.stdout.write(JSON.stringify({measured: LINES[line](size)}) + '\n');
}
