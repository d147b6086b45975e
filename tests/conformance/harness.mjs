// What the three runners have in common: TinyBase as published and as mended, the values of scripts and traces, and the
// conversation with original.py, one JSON request a line in and one answer a line out:
//
//   {"scripts": [...]}  ->  {"traces": [...]}
//
// Scripts, traces and the tags below are described in twin.py and values.py, which do the same on replicell.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const EVENT_LIMIT = 3000;
const DEPTH_LIMIT = 3;

const [nodeModules, patchesJson] = process.argv.slice(2);

const importModule = (module, patches) => {
  const path = join(nodeModules, 'tinybase', module, 'index.js');
  if (patches.length == 0) {
    return import(pathToFileURL(path).href);
  }
  let source = readFileSync(path, 'utf8');
  for (const {name, from, to} of patches) {
    if (source.split(from).length != 2) {
      throw new Error(`the patch "${name}" does not fit TinyBase's source in exactly one place`);
    }
    source = source.replace(from, () => to);
  }
  return import('data:text/javascript;base64,' + Buffer.from(source).toString('base64'));
};

const importAll = async (modules, patches) =>
  Object.assign(
    {},
    ...(await Promise.all(
      modules.map((name) => importModule(name, patches.filter(({module}) => module == name))),
    )),
  );

export const importTinyBase = async (...modules) => {
  const published = await importAll(modules, []);
  const mended = await importAll(modules, JSON.parse(patchesJson));
  return (isMended) => (isMended ? mended : published);
};

class Instance {}

export const isNumber = (thing) => typeof thing == 'number';

export const encode = (thing) => {
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

export const decode = (thing, tags = {}) => {
  if (typeof thing != 'object' || thing === null) {
    return thing;
  }
  if (Array.isArray(thing)) {
    return thing.map((child) => decode(child, tags));
  }
  switch (thing.$) {
    case undefined:
      return Object.fromEntries(Object.entries(thing).map(([id, child]) => [id, decode(child, tags)]));
    case 'undefined':
      return undefined;
    case 'NaN':
    case 'Infinity':
    case '-Infinity':
      return Number(thing.$);
    case 'instance':
      return new Instance();
    default:
      if (!Object.hasOwn(tags, thing.$)) {
        throw new Error('unknown tag ' + thing.$);
      }
      return tags[thing.$](thing);
  }
};

export const collect = (forEach, ...ids) => {
  const seen = [];
  forEach(...ids, (...args) => seen.push(args));
  return seen;
};

export const tablesInOrder = (store) =>
  collect(store.forEachTable).map(([tableId, forEachRow]) => [
    tableId,
    collect(forEachRow).map(([rowId, forEachCell]) => [rowId, encode(collect(forEachCell))]),
  ]);

export const visited = (target, method, ...ids) => {
  const seen = [];
  const descend = (id, child) => {
    if (typeof child == 'function') {
      seen.push([id]);
      child(descend);
    } else {
      seen.push([id, encode(child)]);
    }
  };
  target[method](...ids, descend);
  return seen;
};

// What carries out operations and writes a log of them: `special` has those that are no methods of TinyBase, which
// `callMethod` calls, and `seen` says what a result is in the log.
export const createRunner = (log, special, callMethod, seen) => {
  let listeners = 0;
  let depth = 0;

  const runOp = ([method, ...args]) => {
    try {
      log.push(['=', seen(Object.hasOwn(special, method) ? special[method](...args) : callMethod(method, args))]);
    } catch (error) {
      log.push(['!', error.constructor == Error ? error.message : error.constructor.name]);
      throw error;
    }
  };

  const runOps = (ops) => ops.forEach(runOp);

  // Carry out all operations; what `look` gives after each is an event where it differs from `last`.
  const runAndLook = (ops, look, last) => {
    let lastJson = JSON.stringify(last);
    for (const op of ops) {
      try {
        runOp(op);
      } catch {
        // the log has it
      }
      const event = look();
      const eventJson = JSON.stringify(event);
      if (eventJson != lastJson) {
        lastJson = eventJson;
        log.push(event);
      }
    }
    return log;
  };

  // A listener that is heard, carries out operations in its first calls, and fails in some.
  const createListener = (hear, {ops = [], fails = [], times = 1} = {}) => {
    const label = listeners++;
    let calls = 0;
    return (...args) => {
      hear(label, ...args);
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

  return {runOps, runAndLook, createListener};
};

export const serve = async (runScript) => {
  for await (const line of createInterface({input: process.stdin, crlfDelay: Infinity})) {
    const {scripts} = JSON.parse(line);
    process.stdout.write(JSON.stringify({traces: scripts.map(runScript)}) + '\n');
  }
};
