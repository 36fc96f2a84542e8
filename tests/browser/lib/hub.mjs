// `kvorum hub` as a process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { need } from './env.mjs';
import { until } from './until.mjs';

export class Hub {
  /** Its data is in `dir`. `host` is where it listens; `site` is the page that it serves. */
  constructor(dir, { host = '127.0.0.1', site = need('KVORUM_SITE'), log = 'warn' }) {
    this.dir = join(dir, 'hub');
    this.host = host;
    this.site = site;
    this.flags = ['--log', log];
    this.port = 0;
    this.log = '';
    this.child = null;
  }

  /** Starts it: on a free port at first, later on the same one. Answers once it serves. */
  async start() {
    const urls = `http://${this.host}:${this.port}`;
    const flags = ['--listen-client-urls', urls, '--data-dir', this.dir, '--site', this.site];
    const child = spawn(need('KVORUM_BIN'), ['hub', ...this.flags, ...flags]);
    this.child = child;
    child.stdout.resume();
    this.log = '';
    child.stderr.on('data', (data) => (this.log += data));
    const line = await until('the hub to say where it is', () => {
      if (child.exitCode !== null) throw new Error(`the hub ended: ${this.log}`);
      return /http:\/\/\S+:(\d+)\//.exec(this.log);
    });
    this.port = Number(line[1]);
    this.url = `http://127.0.0.1:${this.port}`;
    await until('the hub to answer', async () => (await fetch(this.url)).ok);
  }

  /** Ends it as a power cut would. */
  async kill() {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}
