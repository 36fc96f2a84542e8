// A member's directory on Node's file system, as the module wants it.

import { closeSync, constants, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync,
  openSync, readFileSync, readSync, readdirSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const LOCK = 'lock';
const ZEROS = new Uint8Array(1024 * 1024);

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
  #fd;

  constructor(path) {
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

  // Of a file that only says that it is longer the disk may turn out to be full at any write.
  truncate(length) {
    attempt(() => {
      const old = this.getSize();
      if (length <= old) {
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
  #path;

  // Opens a directory, and makes it if it is missing. Nobody else may have it open.
  constructor(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    syncDirectory(dirname(path));
    this.#path = path;
    this.#lock(join(path, LOCK));
  }

  names() {
    return readdirSync(this.#path).filter((name) => name !== LOCK);
  }

  open(name) {
    const fresh = !this.names().includes(name);
    const handle = new Handle(join(this.#path, name));
    if (fresh) syncDirectory(this.#path);
    return handle;
  }

  remove(name) {
    attempt(() => unlinkSync(join(this.#path, name)));
  }

  close() {
    unlinkSync(join(this.#path, LOCK));
  }

  // Node cannot lock files. The number of a process that runs says that it has the directory.
  #lock(path) {
    for (let tries = 0; tries < 2; tries += 1) {
      try {
        const fd = openSync(path, 'wx', 0o600);
        writeSync(fd, `${process.pid}\n`);
        closeSync(fd);
        return;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const owner = Number(readFileSync(path, 'utf8'));
      if (owner > 0 && isAlive(owner)) {
        throw new Error(`${this.#path} is in use by process ${owner}`);
      }
      unlinkSync(path);
    }
    throw new Error(`${this.#path} cannot be locked`);
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
