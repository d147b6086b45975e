// One long-lived process that measures TinyBase's Queries: {"line": name, "size": n} in, {"measured": s} out, a line each.
// Each request is one run on fresh data; benchmarks/lines/queries.py has the same runs on replicell.

import {createInterface} from 'node:readline';
import {createQueries} from 'tinybase/queries';
import {createStore} from 'tinybase/store';

const LISTS = 100;
const WRITES = 300;
const SORTED_WRITES = 20;

const filled = (size) => {
  const todos = {};
  for (let index = 0; index < size; index++) {
    todos[`row ${index}`] = {
      text: `todo ${index}`,
      done: index % 2 == 0,
      rank: (index * 7919) % size,
      list: `list ${index % LISTS}`,
    };
  }
  const lists = {};
  for (let index = 0; index < LISTS; index++) {
    lists[`list ${index}`] = {name: `the list ${index}`};
  }
  return createStore().setTables({todos, lists});
};

const shapes = {
  filter: ({select, where}) => {
    select('text');
    select('rank');
    where('done', true);
  },
  join: ({select, join}) => {
    select('text');
    select('rank');
    select('lists', 'name').as('list');
    join('lists', 'list');
  },
  group: ({select, group}) => {
    select('list');
    select('rank');
    group('rank', 'avg').as('mean');
  },
};

const seconds = (action) => {
  globalThis.gc();
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e9;
};

const build = (size, shape) => {
  const queries = createQueries(filled(size));
  return seconds(() => queries.setQueryDefinition('query', 'todos', shapes[shape]));
};

const update = (size, shape, writes, listen) => {
  const store = filled(size);
  const queries = createQueries(store);
  queries.setQueryDefinition('query', 'todos', shapes[shape]);
  listen(queries);
  return seconds(() => {
    for (let count = 0; count < writes; count++) {
      store.setCell('todos', `row ${(count * 2 * 6007) % size}`, 'rank', (count * 104729) % size);
    }
  });
};

const hear = () => 0;

const measure = ({line, size, shape}) =>
  line == 'build'
    ? build(size, shape)
    : line == 'sorted'
      ? update(size, 'filter', SORTED_WRITES, (queries) =>
          queries.addResultSortedRowIdsListener('query', 'rank', false, 0, 10, hear),
        )
      : update(size, shape, WRITES, (queries) => queries.addResultTableListener('query', hear));

for await (const request of createInterface({input: process.stdin, crlfDelay: Infinity})) {
  process.stdout.write(JSON.stringify({measured: measure(JSON.parse(request))}) + '\n');
}
