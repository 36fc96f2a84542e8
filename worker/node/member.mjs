#!/usr/bin/env node
// A member's host in Node: its data in a directory, linked to a hub. It says what happens to it,
// a line of JSON each.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { NodeFiles } from './files.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));

const USAGE = `A member of a Kvorum cluster in Node.

  node member.mjs --dir DIR --relay URL [--member NAME] [--members NAMES] [--cluster NAME]

  --dir DIR        where it keeps its data; made when missing
  --relay URL      a hub's, such as ws://127.0.0.1:2379/relay
  --member NAME    its name [1]
  --members NAMES  the names of all initial members, with commas between them [1,2,3]
  --cluster NAME   the cluster [default]
  --token TEXT     tells clusters of the same name apart; tabs have the same [kvorum]
  --site DIR       the built site, which holds the module [target/site]

Node 20 has a WebSocket only with --experimental-websocket, before member.mjs.
`;

const OPTIONS = {
  dir: { type: 'string' },
  relay: { type: 'string' },
  member: { type: 'string', default: '1' },
  members: { type: 'string', default: '1,2,3' },
  cluster: { type: 'string', default: 'default' },
  token: { type: 'string', default: 'kvorum' },
  site: { type: 'string', default: resolve(HERE, '../../target/site') },
  help: { type: 'boolean', default: false },
};

function fail(text) {
  process.stderr.write(`kvorum: ${text}\n`);
  process.exit(1);
}

function args() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (!values.dir || !values.relay) throw new Error('--dir and --relay are needed');
    return values;
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
}

const { dir, relay, member, members, cluster, token, site } = args();
if (typeof WebSocket === 'undefined') fail('this Node has no WebSocket; see --help');

const load = (name) => import(pathToFileURL(join(site, name)));
const [wasm, { Host }] = await Promise.all([load('kvorum_worker.js'), load('host.js')])
  .catch((error) => fail(`the module is not there; build it with cargo xtask build: ${error.message}`));
await wasm.default({ module_or_path: readFileSync(join(site, 'kvorum_worker_bg.wasm')) });

let files;
try {
  files = new NodeFiles(resolve(dir));
} catch (error) {
  fail(`cannot use the data directory: ${error.message}`);
}

// 64-bit numbers have no place in JSON's.
const plain = (_, value) => (typeof value === 'bigint' ? value.toString() : value);

function tell(message) {
  process.stdout.write(`${JSON.stringify(message, plain)}\n`);
  switch (message.type) {
    case 'left':
      end(0);
      break;
    case 'halted':
    case 'failed':
      end(1);
      break;
  }
}

const options = { cluster, member, members: members.split(','), token, relay, build: '' };
const host = new Host(wasm, options, tell);

function end(code) {
  host.shut();
  process.stdout.write(`${JSON.stringify({ type: 'longest', ...host.longest })}\n`);
  files.close();
  process.exit(code);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => host.leave());

try {
  host.run(wasm.Disk.onFiles(files));
} catch (error) {
  files.close();
  fail(error.message);
}
