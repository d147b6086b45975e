// A replica of TinyBase's WebSocket synchroniser: commands in and answers out, a JSON line each, as in
// benchmarks/sync_client.py. Times are seconds of the machine's monotonic clock, the same in every process.

import {createInterface} from 'node:readline';
import {setImmediate as nextTurn, setTimeout as pause} from 'node:timers/promises';
import {createMergeableStore} from 'tinybase/mergeable-store';
import {createWsSynchronizer} from 'tinybase/synchronizers/synchronizer-ws-client';
import {WebSocket} from 'ws';

const now = () => Number(process.hrtime.bigint()) / 1e9;
const store = createMergeableStore(process.argv[3]);
const rowOf = (index) => ({text: `todo ${index}`, done: index % 2 == 0, rank: index});

const synchronizer = await createWsSynchronizer(store, new WebSocket(process.argv[2]), 5);
await synchronizer.startSync();

const arrivals = new Map();
store.addCellListener('todos', 'edited', 'rank', (_store, _table, _row, _cell, rank) => arrivals.set(rank, now()));

let rowsAwaited;
store.addRowCountListener('todos', (_store, _tableId) => {
  if (rowsAwaited && store.getRowCount('todos') >= rowsAwaited.count) {
    rowsAwaited.arrived(now());
    rowsAwaited = undefined;
  }
});

const commands = {
  // One edit at a time, `pause` seconds apart: when each was made.
  edit: async ({first, count, pause: seconds}) => {
    const times = {};
    for (let rank = first; rank < first + count; rank++) {
      times[rank] = now();
      store.setCell('todos', 'edited', 'rank', rank);
      await pause(seconds * 1000);
    }
    return times;
  },

  arrivals: async () => Object.fromEntries(arrivals),

  // Rows in transactions of their own, with a turn of the event loop after each.
  rows_one_by_one: async ({prefix, count}) => {
    const start = now();
    for (let index = 0; index < count; index++) {
      store.setRow('todos', `${prefix} ${index}`, rowOf(index));
      await nextTurn();
    }
    return start;
  },

  rows_in_one_transaction: async ({prefix, count}) => {
    const start = now();
    store.transaction(() => {
      for (let index = 0; index < count; index++) {
        store.setRow('todos', `${prefix} ${index}`, rowOf(index));
      }
    });
    return start;
  },

  await_rows: ({count}) =>
    store.getRowCount('todos') >= count
      ? now()
      : new Promise((arrived) => {
          rowsAwaited = {count, arrived};
        }),

  row_count: async () => store.getRowCount('todos'),

  stop: async () => {
    await synchronizer.destroy();
    return true;
  },
};

process.stdout.write(JSON.stringify({answer: 'ready'}) + '\n');
for await (const line of createInterface({input: process.stdin})) {
  const {command, ...options} = JSON.parse(line);
  // Not awaited: a command may wait for what another one causes.
  commands[command](options).then((answer) => process.stdout.write(JSON.stringify({command, answer}) + '\n'));
}
process.exit();
