// One long-lived process that measures TinyBase's Store: {"line": name, "size": n} in, {"seconds": s} out, a line each.
// Each request is one run on fresh data; benchmarks/lines/store.py has the same runs on replicell.

import {createInterface} from 'node:readline';
import {createStore} from 'tinybase/store';

const idsOf = (size) => Array.from({length: size}, (_, index) => `row ${index}`);
const rowOf = (index) => ({text: `todo ${index}`, done: index % 2 == 0, rank: index, weight: index / 4});
const tableOf = (size) => Object.fromEntries(idsOf(size).map((rowId, index) => [rowId, rowOf(index)]));

const filled = (size) => createStore().setTable('todos', tableOf(size));

const timed = (action) => {
  globalThis.gc();
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e9;
};

const KEPT_ROWS = 1000;

const update = (size, prepare) => {
  const store = filled(KEPT_ROWS);
  const rowIds = idsOf(KEPT_ROWS);
  prepare?.(store, rowIds);
  return timed(() => {
    for (let count = 0; count < size; count++) {
      store.setCell('todos', rowIds[count % KEPT_ROWS], 'rank', -count - 1);
    }
  });
};

let heard = 0;
const hear = () => {
  heard++;
};

const lines = {
  set_cell_new: (size) => {
    const store = createStore();
    const rowIds = idsOf(size);
    return timed(() => {
      for (let index = 0; index < size; index++) {
        store.setCell('todos', rowIds[index], 'rank', index);
      }
    });
  },

  set_cell_update: (size) => update(size),

  set_cell_one_listener: (size) => {
    const store = filled(KEPT_ROWS);
    store.addCellListener('todos', 'row 0', 'rank', hear);
    return timed(() => {
      for (let count = 0; count < size; count++) {
        store.setCell('todos', 'row 0', 'rank', -count - 1);
      }
    });
  },

  set_cell_exact_listeners: (size) =>
    update(size, (store, rowIds) =>
      rowIds.forEach((rowId) => store.addCellListener('todos', rowId, 'rank', hear)),
    ),

  set_cell_wildcard_listener: (size) =>
    update(size, (store) => store.addCellListener(null, null, null, hear)),

  set_cell_mutator: (size) =>
    update(size, (store) =>
      store.addCellListener(
        'todos',
        null,
        'rank',
        (store, tableId, rowId, _cellId, newCell) => store.setCell(tableId, rowId, 'weight', newCell / 2),
        true,
      ),
    ),

  set_row: (size) => {
    const store = createStore();
    const rowIds = idsOf(size);
    const rows = rowIds.map((_, index) => rowOf(index));
    return timed(() => {
      for (let index = 0; index < size; index++) {
        store.setRow('todos', rowIds[index], rows[index]);
      }
    });
  },

  set_row_transaction: (size) => {
    const store = createStore();
    const rowIds = idsOf(size);
    const rows = rowIds.map((_, index) => rowOf(index));
    return timed(() =>
      store.transaction(() => {
        for (let index = 0; index < size; index++) {
          store.setRow('todos', rowIds[index], rows[index]);
        }
      }),
    );
  },

  set_table: (size) => {
    const store = createStore();
    const table = tableOf(size);
    return timed(() => store.setTable('todos', table));
  },

  get_table: (size) => {
    const store = filled(size);
    return timed(() => store.getTable('todos'));
  },

  get_cell: (size) => {
    const store = filled(KEPT_ROWS);
    const rowIds = idsOf(KEPT_ROWS);
    return timed(() => {
      for (let count = 0; count < size; count++) {
        store.getCell('todos', rowIds[count % KEPT_ROWS], 'rank');
      }
    });
  },

  get_row: (size) => {
    const store = filled(KEPT_ROWS);
    const rowIds = idsOf(KEPT_ROWS);
    return timed(() => {
      for (let count = 0; count < size; count++) {
        store.getRow('todos', rowIds[count % KEPT_ROWS]);
      }
    });
  },

  get_json: (size) => {
    const store = filled(size);
    return timed(() => store.getJson());
  },

  del_row: (size) => {
    const store = filled(size);
    const rowIds = idsOf(size);
    return timed(() => rowIds.forEach((rowId) => store.delRow('todos', rowId)));
  },

  sorted_listener: (size) => {
    const rows = 10000;
    const store = createStore();
    idsOf(rows).forEach((rowId, index) => store.setRow('todos', rowId, rowOf((index * 7919) % rows)));
    store.addSortedRowIdsListener('todos', 'rank', false, 0, undefined, hear);
    return timed(() => {
      for (let count = 0; count < size; count++) {
        store.setCell('todos', `row ${(count * 7919) % rows}`, 'rank', (count * 104729) % rows);
      }
    });
  },

  // Bytes, not seconds: the heap that the rows take.
  memory: (size) => {
    globalThis.gc();
    const before = process.memoryUsage().heapUsed;
    const store = createStore();
    store.transaction(() => {
      for (let index = 0; index < size; index++) {
        store.setRow('todos', `row ${index}`, rowOf(index));
      }
    });
    globalThis.gc();
    const bytes = process.memoryUsage().heapUsed - before;
    return store.getRowCount('todos') == size ? bytes : NaN;
  },
};

for await (const request of createInterface({input: process.stdin})) {
  const {line, size} = JSON.parse(request);
  process.stdout.write(JSON.stringify({measured: lines[line](size), heard}) + '\n');
}
