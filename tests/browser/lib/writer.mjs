// Puts by etcdctl, several at a time, each of a key of its own, until it is ended. An etcdctl
// that waits for a leader that is gone holds up only itself.

import { sleep } from './until.mjs';

const SIDE_BY_SIDE = 3;

/** Between two puts of one of them: most of the machine is left to the cluster. */
const PAUSE_MS = 100;

export class Writer {
  constructor(etcdctl, prefix = 'w/') {
    this.etcdctl = etcdctl;
    this.prefix = prefix;
    /** Acknowledged: `{ key, term, begun, ended }`, the times in milliseconds. */
    this.written = [];
    /** Ended with an error: whether they were written is not known. */
    this.failed = [];
    this.going = true;
    this.count = 0;
    this.all = Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => this.write()));
  }

  async write() {
    while (this.going) {
      this.count += 1;
      const key = this.prefix + String(this.count).padStart(6, '0');
      const begun = performance.now();
      const { code, out, err } = await this.etcdctl.try(['put', key, 'x', '-w', 'json']);
      const ended = performance.now();
      const term = () => JSON.parse(out).header.raft_term;
      if (code === 0) this.written.push({ key, term: term(), begun, ended });
      else this.failed.push({ key, begun, ended, err });
      await sleep(PAUSE_MS);
    }
  }

  end() {
    this.going = false;
    return this.all;
  }
}
