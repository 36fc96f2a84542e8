// One key that is written and read all the time by etcdctl: a read that answers an older revision
// than was acknowledged before it began is stale.

import assert from 'node:assert/strict';

import { sleep, until } from './until.mjs';

const READERS = 2;
const PAUSE_MS = 50;

export class Register {
  constructor(etcdctl, key) {
    this.etcdctl = etcdctl;
    this.key = key;
    /** The newest revision that was acknowledged; whoever else writes tells here, too. */
    this.revision = 0;
    this.writes = 0;
    this.reads = 0;
    this.stale = [];
    this.going = true;
    const readers = Array.from({ length: READERS }, () => this.read());
    this.all = Promise.all([this.write(), ...readers]);
  }

  async write() {
    while (this.going) {
      const revision = await this.ask('put', this.key, String(this.writes));
      if (revision) this.writes += 1;
      this.acknowledged(revision);
      await sleep(PAUSE_MS);
    }
  }

  async read() {
    while (this.going) {
      const before = this.revision;
      const revision = await this.ask('get', this.key);
      if (revision) this.reads += 1;
      if (revision && revision < before) this.stale.push({ revision, before });
      await sleep(PAUSE_MS);
    }
  }

  acknowledged(revision) {
    this.revision = Math.max(this.revision, revision);
  }

  /** The revision that the answer is of, or 0 where there is none. */
  async ask(...args) {
    const { code, out } = await this.etcdctl.try([...args, '-w', 'json']);
    return code === 0 ? JSON.parse(out).header.revision : 0;
  }

  /** Waits for more puts and reads. */
  async goesOn() {
    const { writes, reads } = this;
    await until('more puts and reads by etcdctl', () =>
      this.writes > writes + 5 && this.reads > reads + 5);
  }

  async end() {
    this.going = false;
    await this.all;
  }

  /** Ends it: nothing that it read was stale. */
  async wasNeverStale() {
    await this.end();
    console.log(`# ${this.writes} writes, ${this.reads} reads`);
    assert.deepEqual(this.stale, []);
  }
}
