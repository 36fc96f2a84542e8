// For the members' Worker, in place of a file's own handle: what is written stays in memory until
// `flush()`. So a browser that is killed loses it, as a machine without power would; the kernel
// would have kept it. After `self.flushDoesNothing = true` it is a disk that lies.

class HeldBack {
  #handle;
  #size;
  // In order: `{ at, bytes }` or `{ length }`.
  #held = [];

  constructor(handle) {
    this.#handle = handle;
    this.#size = handle.getSize();
  }

  getSize() {
    return this.#size;
  }

  read(into, { at }) {
    const length = Math.max(0, Math.min(into.length, this.#size - at));
    const there = this.#handle.read(into.subarray(0, length), { at });
    into.fill(0, there, length);
    for (const change of this.#held) {
      if (change.bytes) overlay(into, length, change.at - at, change.bytes);
      else into.fill(0, Math.min(length, Math.max(0, change.length - at)), length);
    }
    return length;
  }

  write(bytes, { at }) {
    this.#held.push({ at, bytes: bytes.slice() });
    this.#size = Math.max(this.#size, at + bytes.length);
    return bytes.length;
  }

  truncate(length) {
    this.#held.push({ length });
    this.#size = length;
  }

  flush() {
    self.flushes = (self.flushes ?? 0) + 1;
    if (self.flushDoesNothing) return;
    for (const { at, bytes, length } of this.#held) {
      if (bytes) this.#handle.write(bytes, { at });
      else this.#handle.truncate(length);
    }
    this.#held = [];
    this.#handle.flush();
  }

  close() {
    this.#handle.close();
  }
}

// Lays bytes over what was read; they begin at `from`, which may be outside of it.
function overlay(into, length, from, bytes) {
  const begin = Math.max(0, from);
  const end = Math.min(length, from + bytes.length);
  if (begin < end) into.set(bytes.subarray(begin - from, end - from), begin);
}
