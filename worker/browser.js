// A member's host in a browser: a dedicated Worker with an OPFS file, one WebSocket to the
// relay, and a port to the page. It only moves bytes; what they mean is the module's.
//
//   page ──start, client, end, stop, pause, resume──► this ──► Member (wasm)
//   page ◄──storage, report, server, formed, left, paused, halted, failed── this
//
// Ticks come from this Worker's own timer: the page's is slowed when its tab is hidden.

import init, { Disk, Member, lastPanic } from './kvorum_worker.js';

// A tab that has just closed frees its file within tens of milliseconds.
const HANDLE_PATIENCE_MS = 2000;
const HANDLE_RETRY_MS = 50;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2500;
// LINK_QUEUE_BYTES in crates/api/src/limits.rs. A socket that takes no more is a relay that hangs:
// raft says again what is lost with it.
const SOCKET_BUFFER_BYTES = 128 * 1024 * 1024;
// Some way before that the socket is full: its clients get nothing large until half of it is
// written. A socket does not tell, so it is looked at.
const SOCKET_FULL_BYTES = 4 * 1024 * 1024;
const ROOM_EVERY_MS = 5;
// CloseCode in crates/api/src/frame.rs: after these the same socket would be closed again.
const CLOSED_FOR_GOOD = new Set([4003, 4004, 4005, 4007]);

const now = () => performance.now();

let options; // what the page said in `start`
let directory; // of this member in OPFS, or null
let handle; // the log's sync access handle, or null
let disk; // for the module
let member = null; // null before the start, after the end, and while paused
let socket = null;
let pause = RECONNECT_MIN_MS;
let reconnect = 0; // timer
let ticker = 0; // timer
let room = 0; // timer, while the socket is full
let syncing = false; // a sync is scheduled
let ending = null; // 'left' or 'paused', once asked for

const post = (message, transfer = []) => self.postMessage(message, transfer);

// Runs one entry into the module. A panic leaves it in pieces, so nothing is called after one.
function enter(call) {
  if (!member) return;
  try {
    call(member);
  } catch (error) {
    fail(`the member crashed: ${lastPanic() ?? error?.message ?? error}`, true);
    return;
  }
  schedule();
}

function fail(reason, restart) {
  shut();
  post({ type: 'failed', reason, restart });
}

// Ends the member and frees the file. Nothing is saved on the way: what counts is synced.
function shut() {
  member = null;
  clearTimeout(ticker);
  clearTimeout(reconnect);
  clearTimeout(room);
  room = 0;
  socket?.close(1000);
  socket = null;
  handle?.close();
  handle = null;
}

// The next tick. One timer, set anew when the member wants to wake earlier.
function schedule() {
  if (!member) return;
  clearTimeout(ticker);
  ticker = setTimeout(() => enter((m) => m.tick(now())), Math.max(0, member.wakeAt() - now()));
}

// A sync runs as an event of its own behind those that wait already, so that one flush serves
// a whole burst.
const turn = new MessageChannel();
turn.port1.onmessage = () => {
  syncing = false;
  enter((m) => m.sync(now()));
};

const host = {
  send(frame) {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > SOCKET_BUFFER_BYTES) {
      socket.close(1000);
      return false;
    }
    socket.send(frame);
    if (room || socket.bufferedAmount <= SOCKET_FULL_BYTES) return false;
    room = setTimeout(lookForRoom, ROOM_EVERY_MS);
    return true;
  },
  reply(session, body) {
    post({ type: 'server', session, body }, [body.buffer]);
  },
  report(report) {
    post({ type: 'report', report });
  },
  formed(cluster) {
    mark(cluster);
    post({ type: 'formed', cluster });
  },
  wantSync() {
    if (syncing) return;
    syncing = true;
    turn.port2.postMessage(null);
  },
  left() {
    // Not from inside of the module.
    queueMicrotask(() => (ending === 'paused' ? paused() : left()));
  },
  halted(reason) {
    queueMicrotask(() => {
      shut();
      post({ type: 'halted', reason });
    });
  },
};

function lookForRoom() {
  if (socket?.bufferedAmount > SOCKET_FULL_BYTES / 2) {
    room = setTimeout(lookForRoom, ROOM_EVERY_MS);
    return;
  }
  room = 0;
  enter((m) => m.linkRoom(now()));
}

function left() {
  shut();
  post({ type: 'left' });
}

// A member in memory stops without its Worker: its disk is here.
function paused() {
  const stopped = member;
  shut();
  stopped?.free();
  post({ type: 'paused' });
}

// The page can tell by this which cluster a directory belongs to, without reading logs.
async function mark(cluster) {
  try {
    await directory?.getFileHandle(`cluster-${cluster.toString(16)}`, { create: true });
  } catch (error) {
    console.warn('kvorum: the directory could not be marked:', error);
  }
}

function connect() {
  if (!member) return;
  const mine = new WebSocket(options.relay);
  mine.binaryType = 'arraybuffer';
  socket = mine;
  mine.onopen = () => {
    pause = RECONNECT_MIN_MS;
    enter((m) => m.linkUp(now()));
  };
  mine.onmessage = ({ data }) => {
    if (mine === socket && data instanceof ArrayBuffer) {
      enter((m) => m.frame(now(), new Uint8Array(data)));
    }
  };
  mine.onclose = ({ code }) => {
    if (mine !== socket) return;
    socket = null;
    clearTimeout(room);
    room = 0;
    enter((m) => m.linkDown(now()));
    if (CLOSED_FOR_GOOD.has(code)) return;
    reconnect = setTimeout(connect, pause * (0.5 + Math.random()));
    pause = Math.min(2 * pause, RECONNECT_MAX_MS);
  };
}

// The member's file: OPFS, or memory where OPFS is refused (some private windows).
async function open() {
  try {
    const root = await navigator.storage.getDirectory();
    const cluster = await (await root.getDirectoryHandle('kvorum', { create: true }))
      .getDirectoryHandle(options.cluster, { create: true });
    directory = await cluster.getDirectoryHandle(options.member, { create: true });
  } catch (error) {
    directory = null;
    disk = Disk.inMemory();
    post({ type: 'storage', kind: 'memory', reason: `${error.name}: ${error.message}` });
    return;
  }
  const file = await directory.getFileHandle('log', { create: true });
  handle = await patiently(() => file.createSyncAccessHandle());
  disk = Disk.onHandle(handle);
  post({ type: 'storage', kind: 'opfs' });
}

async function patiently(attempt) {
  const until = now() + HANDLE_PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error.name !== 'NoModificationAllowedError' || now() >= until) throw error;
      await new Promise((resume) => setTimeout(resume, HANDLE_RETRY_MS));
    }
  }
}

async function start(message) {
  options = message;
  try {
    await init({ module_or_path: new URL('./kvorum_worker_bg.wasm', import.meta.url) });
    await open();
  } catch (error) {
    // The file is another tab's, or the module could not be loaded: both may pass.
    fail(`the member's file could not be opened: ${error?.message ?? error}`, true);
    return;
  }
  run();
}

function run() {
  ending = null;
  try {
    member = new Member(options, disk, host, now());
  } catch (error) {
    // The log is damaged, of a newer version, or another member's: trying again is no use.
    fail(`${error?.message ?? error}`, false);
    return;
  }
  schedule();
  connect();
}

function end(kind) {
  ending = kind;
  if (member) enter((m) => m.leave(now()));
  else host.left();
}

self.onmessage = ({ data }) => {
  switch (data.type) {
    case 'start':
      start(data);
      break;
    case 'client':
      enter((m) => m.client(now(), data.session, data.body));
      break;
    case 'stop':
      end('left');
      break;
    case 'pause':
      end('paused');
      break;
    case 'resume':
      if (!member) run();
      break;
    default:
      console.warn('kvorum: the page said what this Worker does not know:', data.type);
  }
};
