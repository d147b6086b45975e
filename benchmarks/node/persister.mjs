// One long-lived process that measures TinyBase's libSQL persister, which keeps tables in plain SQLite files.
// {"line": name, "size": n, "path": file} in, {"seconds": s} out, a line each; benchmarks/lines/databases.py has
// the same runs on replicell.

import {createClient} from '@libsql/client';
import {createInterface} from 'node:readline';
import {createLibSqlPersister} from 'tinybase/persisters/persister-libsql';
import {createStore} from 'tinybase/store';

const CONFIGURATION = {
  mode: 'tabular',
  tables: {
    load: {todos: {tableId: 'todos', rowIdColumnName: 'id'}},
    save: {todos: {tableName: 'todos', rowIdColumnName: 'id'}},
  },
};

const FILL = `
  WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < ?)
  INSERT INTO todos SELECT 'row ' || n, 'todo ' || n, n, n / 4.0 FROM counted`;

const rowOf = (index) => ({text: `todo ${index}`, rank: index, weight: index / 4});
const fail = (error) => {
  throw error;
};

const open = (path) => {
  const client = createClient({url: `file:${path}`});
  const store = createStore();
  return {client, store, persister: createLibSqlPersister(store, client, CONFIGURATION, undefined, fail)};
};

const timed = async (action) => {
  globalThis.gc();
  const start = process.hrtime.bigint();
  await action();
  return Number(process.hrtime.bigint() - start) / 1e9;
};

const close = async ({client, persister}) => {
  await persister.destroy();
  client.close();
};

const expect = (is, what) => {
  if (!is) {
    throw new Error(`TinyBase did not ${what}`);
  }
};

let kept;
let edits = 0;

const lines = {
  fill: async ({size, path}) => {
    const client = createClient({url: `file:${path}`});
    await client.execute('CREATE TABLE todos (id PRIMARY KEY, text, rank, weight)');
    await client.execute({sql: FILL, args: [size]});
    client.close();
    return 0;
  },

  save: async ({size, path}) => {
    const opened = open(path);
    opened.store.setTable(
      'todos',
      Object.fromEntries(Array.from({length: size}, (_, index) => [`row ${index}`, rowOf(index)])),
    );
    const seconds = await timed(() => opened.persister.save());
    const count = await opened.client.execute('SELECT count(*) AS count FROM todos');
    expect(count.rows[0].count == size, 'save');
    await close(opened);
    return seconds;
  },

  load: async ({size, path}) => {
    const opened = open(path);
    const seconds = await timed(() => opened.persister.load());
    expect(opened.store.getRowCount('todos') == size, 'load');
    await close(opened);
    return seconds;
  },

  keep: async ({size, path}) => {
    kept = open(path);
    await kept.persister.load();
    expect(kept.store.getRowCount('todos') == size, 'load');
    return 0;
  },

  // What the persister does about one changed row once it has noticed it: it loads.
  load_one: async ({size}) => {
    const rowId = `row ${(edits++ * 7) % size}`;
    await kept.client.execute({sql: 'UPDATE todos SET rank = ? WHERE id = ?', args: [-edits, rowId]});
    const seconds = await timed(() => kept.persister.load());
    expect(kept.store.getCell('todos', rowId, 'rank') == -edits, 'load the row');
    return seconds;
  },

  auto_save: async () => {
    await kept.persister.startAutoSave();
    return 0;
  },

  save_one: async ({size}) => {
    const rowId = `row ${(edits++ * 7) % size}`;
    const seconds = await timed(async () => {
      kept.store.setCell('todos', rowId, 'rank', -edits);
      await kept.persister.schedule(async () => 0);
    });
    const saved = await kept.client.execute({sql: 'SELECT rank FROM todos WHERE id = ?', args: [rowId]});
    expect(saved.rows[0].rank == -edits, 'save the cell');
    return seconds;
  },

  forget: async () => {
    await close(kept);
    kept = undefined;
    return 0;
  },
};

for await (const text of createInterface({input: process.stdin})) {
  const request = JSON.parse(text);
  console.log(JSON.stringify({seconds: await lines[request.line](request)}));
}
