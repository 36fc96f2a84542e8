// A member's host in a browser: a dedicated Worker with its directory in OPFS, one WebSocket to
// the relay, and a port to the page.
//
//   page ──start, client, end, stop, pause, resume──► this ──► Host ──► Member (wasm)
//   page ◄──storage, report, server, formed, left, paused, halted, failed── this
//
// Ticks come from this Worker's own timer: the page's is slowed when its tab is hidden.

import * as wasm from './kvorum_worker.js';
import { Host } from './host.js';
import { OpfsFiles, holdsData, isRefusal } from './opfs.js';

let directory = null; // of this member in OPFS, if there is one
let files = null; // in it
let disk; // for the module
let host;
let pausing = false; // it leaves to go on later

const post = (message, transfer = []) => self.postMessage(message, transfer);

// What the member tells, on its way to the page.
function tell(message, transfer) {
  switch (message.type) {
    case 'torn':
      console.warn(`kvorum: ${self.name}:`, message.words);
      return;
    case 'formed':
      mark(message.cluster);
      break;
    case 'left':
      leftOff();
      return;
    case 'halted':
      end();
      break;
    case 'failed':
      files?.close();
      break;
  }
  post(message, transfer);
}

// Ends the member and frees its files.
function end() {
  host.shut();
  files?.close();
}

// A member in memory stops without its Worker: its disk is here.
function leftOff() {
  const member = host.shut();
  if (pausing) member?.free();
  else files?.close();
  post({ type: pausing ? 'paused' : 'left' });
}

// The page can tell by this which cluster a directory belongs to, without reading logs.
async function mark(cluster) {
  try {
    await directory?.getFileHandle(`cluster-${cluster.toString(16)}`, { create: true });
  } catch (error) {
    console.warn('kvorum: the directory could not be marked:', error);
  }
}

// The member's files: in OPFS, or in memory where the browser refuses them. In some private windows
// it refuses directories, in others only to open a file.
async function open({ cluster, member }) {
  try {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle('kvorum', { create: true });
    const home = await top.getDirectoryHandle(cluster, { create: true });
    directory = await home.getDirectoryHandle(member, { create: true });
  } catch (error) {
    openInMemory(error);
    return;
  }
  try {
    files = await OpfsFiles.open(directory);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (await holdsData(directory)) throw new DataRefused(error);
    // No mark: its cluster's data will not be there.
    directory = null;
    openInMemory(error);
    return;
  }
  disk = wasm.Disk.onFiles(files);
  post({ type: 'storage', kind: 'opfs' });
}

function openInMemory(refusal) {
  disk = wasm.Disk.inMemory();
  post({ type: 'storage', kind: 'memory', reason: `${refusal.name}: ${refusal.message}` });
}

// The browser refuses files that hold this member's data. Without them it would be another member.
class DataRefused extends Error {
  constructor({ name, message }) {
    super(`this browser refuses them (${name}: ${message}), and they hold its data. Nothing was `
      + 'changed. Allow this site to use its data, then restart this member');
  }
}

async function start(options) {
  host = new Host(wasm, options, tell);
  try {
    await wasm.default({ module_or_path: new URL('./kvorum_worker_bg.wasm', import.meta.url) });
    await open(options);
  } catch (error) {
    // The files are another tab's, or the module could not be loaded: both may pass.
    const reason = `the member's files could not be opened: ${error?.message ?? error}`;
    post({ type: 'failed', reason, restart: !(error instanceof DataRefused) });
    return;
  }
  run();
}

function run() {
  pausing = false;
  try {
    host.run(disk);
  } catch (error) {
    // The log is damaged, of a newer version, or another member's: trying again is no use.
    end();
    post({ type: 'failed', reason: `${error?.message ?? error}`, restart: false });
  }
}

self.onmessage = ({ data }) => {
  switch (data.type) {
    case 'start':
      start(data);
      break;
    case 'client':
      host.client(data.session, data.body);
      break;
    case 'stop':
    case 'pause':
      pausing = data.type === 'pause';
      host.leave();
      break;
    case 'resume':
      if (!host.runs) run();
      break;
    default:
      console.warn('kvorum: the page said what this Worker does not know:', data.type);
  }
};
