// A member's directory on Node's file system, as the module wants it.

import {
  closeSync, constants, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync, openSync,
  readSync, readdirSync, realpathSync, rmSync, statfsSync, unlinkSync, writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

// A process that has a directory has a file of this name with its number in there.
const LOCK = /^lock-(\d+)$/;
const ZEROS = new Uint8Array(1024 * 1024);
// A file that grows by more than this is the store's, which doubles. To write as many zeros would
// hold the member for as long as there is data.
const WRITTEN_BYTES = 8 * 1024 * 1024;

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

  // Of a file that only says that it is longer the disk may turn out to be full at any write. So
  // a piece of a log is written, and for more there must at least be room now: should others take
  // it meanwhile, a write fails and the member ends, with all it acknowledged in its log.
  truncate(length) {
    attempt(() => {
      const old = this.getSize();
      if (length - old > WRITTEN_BYTES) this.#need(length - old);
      if (length <= old || length - old > WRITTEN_BYTES) {
        ftruncateSync(this.#fd, length);
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

  getSize() {
    return attempt(() => fstatSync(this.#fd).size);
  }

  flush() {
    attempt(() => fdatasyncSync(this.#fd));
  }

  close() {
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
