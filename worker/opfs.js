// A member's directory in the origin's private file system, as the module wants it: files that
// are there at once.
//
// OPFS opens files in its own time only. So those that are there are opened before the member
// starts, with the first file of a new log; any other is opened when the member asks for it, and
// it asks again.

// `FIRST_FILE` in crates/storage/src/log.rs.
const FIRST_FILE = 'log-00000001';
const OURS = /^(log|store)-\d+$/;
// A tab that has just closed frees its files within tens of milliseconds.
const PATIENCE_MS = 2000;
const RETRY_MS = 50;

// How a browser says that it gives no files: its user's settings, its policy, or a method that it
// does not have. Of a file that another Worker has open it says something else.
const REFUSALS = ['NotAllowedError', 'SecurityError', 'TypeError'];

export const isRefusal = (error) => REFUSALS.includes(error?.name);

// Whether a member has written to this directory. What was only opened is there, and empty.
export async function holdsData(directory) {
  for await (const entry of directory.values()) {
    if ((await entry.getFile()).size > 0) return true;
  }
  return false;
}

export class OpfsFiles {
  #directory;
  #names = new Set();
  #handles = new Map();
  // What is to be done to each name, in order: a promise.
  #queues = new Map();

  constructor(directory) {
    this.#directory = directory;
  }

  // Opens all that is there.
  static async open(directory) {
    const files = new OpfsFiles(directory);
    try {
      for await (const [name, entry] of directory.entries()) {
        if (entry.kind === 'file') files.#names.add(name);
      }
      const ours = [...files.#names].filter((name) => OURS.test(name));
      // An old `log` is looked at by name only, and refused.
      if (files.#names.size === 0 || !ours.some((name) => name.startsWith('log-'))) {
        ours.push(FIRST_FILE);
      }
      await Promise.all(ours.map((name) => files.#prepare(name)));
    } catch (error) {
      files.close();
      throw error;
    }
    return files;
  }

  names() {
    return [...this.#names];
  }

  open(name) {
    const handle = this.#handles.get(name);
    if (!handle) {
      this.#prepare(name).catch((error) => {
        console.warn(`kvorum: ${name} could not be opened:`, error);
      });
    }
    return handle;
  }

  remove(name) {
    this.#names.delete(name);
    this.#handles.get(name)?.close();
    this.#handles.delete(name);
    this.#queue(name, () => this.#directory.removeEntry(name)).catch((error) => {
      // It is removed at the next start.
      console.warn(`kvorum: ${name} could not be removed:`, error);
    });
  }

  close() {
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
  }

  #prepare(name) {
    return this.#queue(name, async () => {
      if (this.#handles.has(name)) return;
      const file = await this.#directory.getFileHandle(name, { create: true });
      this.#handles.set(name, await patiently(() => file.createSyncAccessHandle()));
      this.#names.add(name);
    });
  }

  #queue(name, work) {
    const next = (this.#queues.get(name) ?? Promise.resolve()).catch(() => {}).then(work);
    this.#queues.set(name, next);
    return next;
  }
}

async function patiently(attempt) {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error.name !== 'NoModificationAllowedError' || performance.now() >= until) throw error;
      await new Promise((resume) => setTimeout(resume, RETRY_MS));
    }
  }
}
