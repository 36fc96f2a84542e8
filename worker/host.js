// What every host of a member in JavaScript does: it calls the module when something happens and
// does what the module wants done. It only moves bytes; what they mean is the module's.
//
//   socket, timers, user ──► Host ──► Member (wasm)
//   socket, user         ◄── Host ◄── Member

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2500;
// LINK_QUEUE_BYTES in crates/api/src/limits.rs. A socket that takes no more is a relay that hangs:
// raft says again what is lost with it.
const SOCKET_BUFFER_BYTES = 128 * 1024 * 1024;
// Some way before that the socket is full: its clients get nothing large until half of it is
// written. A socket does not tell, so it is looked at.
const SOCKET_FULL_BYTES = 4 * 1024 * 1024;
const ROOM_EVERY_MS = 5;
// What found no room in a file is tried again after this long, as is a file that is not open yet.
const NO_ROOM_MS = 200;
const NOT_OPEN_MS = 20;
// CloseCode in crates/api/src/frame.rs: after these the same socket would be closed again.
const CLOSED_FOR_GOOD = new Set([4003, 4004, 4005, 4007]);

const now = () => performance.now();

export class Host {
  #module; // what kvorum_worker.js exports
  #options; // of the member
  #tell; // tell(message, transfer): to whoever uses the member
  #member = null; // null before the start and after the end
  #socket = null;
  #pause = RECONNECT_MIN_MS;
  #timers = { tick: 0, reconnect: 0, room: 0, sync: 0, work: 0 };
  #turn = new MessageChannel();
  #due = { sync: false, tick: false, work: false };
  // The longest call into the module since the start was done, and which it was.
  longest = { ms: 0, call: '' };

  constructor(module, options, tell) {
    this.#module = module;
    this.#options = options;
    this.#tell = tell;
    this.#turn.port1.onmessage = ({ data }) => this.#take(data);
  }

  get runs() {
    return this.#member !== null;
  }

  // Starts the member on its disk. Throws if that cannot be.
  run(disk) {
    this.#member = new this.#module.Member(this.#options, disk, this.#calls(), now());
    const { torn } = this.#member;
    if (torn) this.#tell({ type: 'torn', words: torn });
    this.#schedule();
    this.#connect();
  }

  client(session, body) {
    this.#enter('client', (m) => m.client(now(), session, body));
  }

  // Asks it to hand over and leave; `left` is told when it has.
  leave() {
    if (this.#member) this.#enter('leave', (m) => m.leave(now()));
    else this.#tell({ type: 'left' });
  }

  // Ends the member at once. Nothing is saved on the way: what counts is synced. Gives the member,
  // for who can still free it.
  shut() {
    const member = this.#member;
    this.#member = null;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers.room = 0;
    this.#socket?.close(1000);
    this.#socket = null;
    return member;
  }

  // Ends the port that would keep a process alive.
  close() {
    this.#turn.port1.close();
  }

  // Runs one entry into the module. A panic leaves it in pieces, so nothing is called after one.
  #enter(name, call) {
    if (!this.#member) return undefined;
    const begun = now();
    let result;
    try {
      result = call(this.#member);
    } catch (error) {
      this.shut();
      const why = this.#module.lastPanic() ?? error?.message ?? error;
      this.#tell({ type: 'failed', reason: `the member crashed: ${why}`, restart: true });
      return undefined;
    }
    const ms = now() - begun;
    if (ms > this.longest.ms) this.longest = { ms, call: name };
    this.#schedule();
    return result;
  }

  // The next tick. One timer, set anew when the member wants to wake earlier.
  #schedule() {
    if (!this.#member) return;
    clearTimeout(this.#timers.tick);
    const wait = this.#member.wakeAt() - now();
    if (wait <= 0) this.#want('tick');
    else this.#timers.tick = setTimeout(() => this.#tick(), wait);
  }

  #tick() {
    this.#enter('tick', (m) => m.tick(now()));
  }

  // Syncs, steps of jobs, and what a call has left to do run as events of their own behind those
  // that wait already: so one flush serves a whole burst, and no request waits for all of them.
  #want(what) {
    if (this.#due[what]) return;
    this.#due[what] = true;
    // Node takes many messages of a port before it looks at its sockets.
    if (globalThis.setImmediate) setImmediate(() => this.#take(what));
    else this.#turn.port2.postMessage(what);
  }

  #take(what) {
    this.#due[what] = false;
    if (what === 'sync') this.#sync();
    else if (what === 'work') this.#work();
    else this.#tick();
  }

  #sync() {
    const waits = this.#enter('sync', (m) => m.sync(now()));
    clearTimeout(this.#timers.sync);
    if (waits) this.#timers.sync = setTimeout(() => this.#want('sync'), NO_ROOM_MS);
  }

  #work() {
    const { Work } = this.#module;
    const done = this.#enter('work', (m) => m.work(now()));
    if (done === Work.More) this.#want('work');
    if (done === Work.Waiting) {
      clearTimeout(this.#timers.work);
      this.#timers.work = setTimeout(() => this.#want('work'), NOT_OPEN_MS);
    }
  }

  // What the module calls. It is busy then, and cannot be called back.
  #calls() {
    return {
      send: (frame) => this.#send(frame),
      reply: (session, body) => this.#tell({ type: 'server', session, body }, [body.buffer]),
      report: (report) => this.#tell({ type: 'report', report }),
      formed: (cluster) => this.#tell({ type: 'formed', cluster }),
      wantSync: () => this.#want('sync'),
      wantWork: () => this.#want('work'),
      left: () => queueMicrotask(() => this.#tell({ type: 'left' })),
      halted: (reason) => queueMicrotask(() => this.#tell({ type: 'halted', reason })),
    };
  }

  #send(frame) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > SOCKET_BUFFER_BYTES) {
      socket.close(1000);
      return false;
    }
    socket.send(frame);
    if (this.#timers.room || socket.bufferedAmount <= SOCKET_FULL_BYTES) return false;
    this.#timers.room = setTimeout(() => this.#lookForRoom(), ROOM_EVERY_MS);
    return true;
  }

  #lookForRoom() {
    if (this.#socket?.bufferedAmount > SOCKET_FULL_BYTES / 2) {
      this.#timers.room = setTimeout(() => this.#lookForRoom(), ROOM_EVERY_MS);
      return;
    }
    this.#timers.room = 0;
    this.#enter('linkRoom', (m) => m.linkRoom(now()));
  }

  #connect() {
    if (!this.#member) return;
    const mine = new WebSocket(this.#options.relay);
    mine.binaryType = 'arraybuffer';
    this.#socket = mine;
    mine.onopen = () => {
      this.#pause = RECONNECT_MIN_MS;
      this.#enter('linkUp', (m) => m.linkUp(now()));
    };
    mine.onmessage = ({ data }) => {
      if (mine === this.#socket && data instanceof ArrayBuffer) {
        this.#enter('frame', (m) => m.frame(now(), new Uint8Array(data)));
      }
    };
    mine.onclose = ({ code }) => {
      if (mine !== this.#socket) return;
      this.#socket = null;
      clearTimeout(this.#timers.room);
      this.#timers.room = 0;
      this.#enter('linkDown', (m) => m.linkDown(now()));
      if (CLOSED_FOR_GOOD.has(code)) return;
      const wait = this.#pause * (0.5 + Math.random());
      this.#timers.reconnect = setTimeout(() => this.#connect(), wait);
      this.#pause = Math.min(2 * this.#pause, RECONNECT_MAX_MS);
    };
  }
}
