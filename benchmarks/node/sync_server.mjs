// TinyBase's own WebSocket server with a store of its own a room, in memory. Prints its port, ends with its input.

import {createMergeableStore} from 'tinybase/mergeable-store';
import {createCustomPersister} from 'tinybase/persisters';
import {createWsServer} from 'tinybase/synchronizers/synchronizer-ws-server';
import {WebSocketServer} from 'ws';

const createMemoryPersister = () =>
  createCustomPersister(
    createMergeableStore('server'),
    async () => undefined,
    async () => {},
    () => 0,
    () => {},
    undefined,
    2, // StoreOrMergeableStore
  );

const sockets = new WebSocketServer({port: 0});
const server = createWsServer(sockets, createMemoryPersister);
sockets.on('listening', () => process.stdout.write(JSON.stringify({port: sockets.address().port}) + '\n'));

process.stdin.on('end', async () => {
  await server.destroy();
  process.exit();
});
process.stdin.resume();
