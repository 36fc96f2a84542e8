// A member's directory on Node's file system, as the module wants it.

import {
  closeSync, constants, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync, openSync,
  readSync, readdirSync, realpathSync, rmSync, statfsSync, unlinkSync, writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

// A process that has a directory has a file of this name with its number in there.
const LOCK = /^lock-(\d+)$/;
const ZEROS = Buffer.alloc(1024 * 1024);
// A file that grows by more than this is the store's, which doubles. To write as many zeros at once
// would hold the member for as long as there is data.
const WRITTEN_BYTES = 8 * 1024 * 1024;
// What a disk has beyond what a file needs, for what else is written meanwhile.
const SPARE_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 4096;
const FILL_AGAIN_MS = 1000;

const isZeros = (bytes) => bytes.equals(ZEROS.subarray(0, bytes.length));

// The kinds of errors that the module knows are those of browsers.
function browsers(error) {
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return full ? new DOMException(error.message, 'QuotaExceededError') : error;
}

function attempt(work) {
  try {
    return work();
  } catch (error) {
    throw browsers(error);
  }
}

function syncDirectory(path) {
  const fd = openSync(path, constants.O_RDONLY);
  fsyncSync(fd);
  closeSync(fd);
}

// The methods of a `FileSystemSyncAccessHandle` that the module calls.
class Handle {
  #path;
  #fd;
  // Where it only says that it is longer.
  #hole = { at: Infinity, end: 0 };
  #filling;

  constructor(path) {
    this.#path = path;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  read(into, { at }) {
    return attempt(() => readSync(this.#fd, into, 0, into.length, at));
  }

  write(bytes, { at }) {
    return attempt(() => {
      let written = 0;
      while (written < bytes.length) {
        written += writeSync(this.#fd, bytes, written, bytes.length - written, at + written);
      }
      return written;
    });
  }

  // Of a file that only says that it is longer the disk may turn out to be full at any write,
  // which is the end of the store until there is room. So what is new is written; if that is much
  // there has to be room for it now, and it is written in the turns that follow.
  truncate(length) {
    attempt(() => {
      const old = this.getSize();
      if (length - old > WRITTEN_BYTES) this.#need(length - old + SPARE_BYTES);
      if (length <= old || length - old > WRITTEN_BYTES) {
        ftruncateSync(this.#fd, length);
        this.#hole = { at: Math.min(this.#hole.at, old), end: length };
        this.#fillLater(0);
        return;
      }
      try {
        for (let at = old; at < length; at += ZEROS.length) {
          this.write(ZEROS.subarray(0, Math.min(ZEROS.length, length - at)), { at });
        }
      } catch (error) {
        ftruncateSync(this.#fd, old);
        throw error;
      }
    });
  }

  #need(bytes) {
    const { bavail, bsize } = statfsSync(this.#path);
    if (bavail * bsize >= bytes) return;
    const text = `${this.#path} needs ${bytes} bytes more, and there is no such room`;
    throw Object.assign(new Error(text), { code: 'ENOSPC' });
  }

  #fillLater(ms) {
    clearTimeout(this.#filling);
    if (this.#hole.at >= this.#hole.end) return;
    this.#filling = setTimeout(() => this.#fill(), ms);
    this.#filling.unref();
  }

  // Writes zeros where there are zeros: a page of the hole then has its place on the disk. What
  // the store has written there meanwhile is left alone.
  #fill() {
    const { at, end } = this.#hole;
    const piece = Buffer.alloc(Math.min(ZEROS.length, end - at));
    try {
      this.read(piece, { at });
      const step = isZeros(piece) ? piece.length : PAGE_BYTES;
      for (let from = 0; from < piece.length; from += step) {
        const part = piece.subarray(from, from + step);
        if (isZeros(part)) this.write(part, { at: at + from });
      }
      this.#hole.at += piece.length;
      this.#fillLater(0);
    } catch (error) {
      console.warn(`kvorum: no room for all of ${this.#path} yet:`, error.message);
      this.#fillLater(FILL_AGAIN_MS);
    }
  }

  getSize() {
    return attempt(() => fstatSync(this.#fd).size);
  }

  flush() {
    attempt(() => fdatasyncSync(this.#fd));
  }

  close() {
    clearTimeout(this.#filling);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

export class NodeFiles {
  // Directories that this process has.
  static #taken = new Set();

  #path;

  // Opens a directory, and makes it if it is missing. Nobody else may have it open.
  constructor(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    syncDirectory(dirname(path));
    this.#path = realpathSync(path);
    this.#lock();
  }

  names() {
    return readdirSync(this.#path).filter((name) => !LOCK.test(name));
  }

  open(name) {
    return attempt(() => {
      const fresh = !this.names().includes(name);
      const handle = new Handle(join(this.#path, name));
      if (fresh) syncDirectory(this.#path);
      return handle;
    });
  }

  remove(name) {
    attempt(() => unlinkSync(join(this.#path, name)));
  }

  close() {
    NodeFiles.#taken.delete(this.#path);
    unlinkSync(this.#own());
  }

  #own() {
    return join(this.#path, `lock-${process.pid}`);
  }

  // Node cannot lock files. So whoever comes first says that it is there, and then looks whether
  // somebody else is: of two at a time both may be turned away, and never both let in.
  #lock() {
    if (NodeFiles.#taken.has(this.#path)) throw new Error(`${this.#path} is in use here already`);
    closeSync(openSync(this.#own(), 'w', 0o600));
    for (const name of readdirSync(this.#path)) {
      const owner = Number(LOCK.exec(name)?.[1] ?? process.pid);
      if (owner === process.pid) continue;
      if (isAlive(owner)) {
        unlinkSync(this.#own());
        throw new Error(`${this.#path} is in use by process ${owner}`);
      }
      // Left by one that was killed. Another one may have removed it just now.
      rmSync(join(this.#path, name), { force: true });
    }
    NodeFiles.#taken.add(this.#path);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
