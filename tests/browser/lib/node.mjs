// The host of a member in Node, as a process.

import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { need } from './env.mjs';
import { until } from './until.mjs';

const SCRIPT = fileURLToPath(new URL('../../../worker/node/member.mjs', import.meta.url));

export class NodeMember {
  /** A member at a hub, not started. Its data is in `dir`. */
  constructor(dir, name, hub, { site = need('KVORUM_SITE') } = {}) {
    this.name = name;
    this.dir = join(dir, `node-${name}`);
    this.hub = hub;
    this.site = site;
    this.child = null;
    this.log = '';
    /** What it has said in this run. */
    this.said = [];
  }

  /** Starts it; it says later what comes of that. */
  start() {
    const flags = ['--dir', this.dir, '--relay', `${this.hub.url.replace('http', 'ws')}/relay`];
    const what = ['--member', this.name, '--site', this.site];
    // Node 20 has WebSocket, and hides it.
    const args = ['--experimental-websocket', '--no-warnings', SCRIPT, ...flags, ...what];
    const child = spawn(process.execPath, args);
    this.child = child;
    this.said = [];
    this.log = '';
    let rest = '';
    child.stdout.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      this.said.push(...lines.map((line) => JSON.parse(line)));
    });
    child.stderr.on('data', (data) => (this.log += data));
    return this;
  }

  /** The last of what it has said of this type. */
  last(type) {
    return this.said.findLast((message) => message.type === type);
  }

  /** Waits until it has a leader, or is one, and answers its report. */
  async serves() {
    return until(`member ${this.name} to know of a leader`, () => {
      if (this.child?.exitCode !== null) throw new Error(`it has ended: ${this.log}`);
      const report = this.last('report')?.report;
      return report?.leader && report;
    });
  }

  /** Has it leave in order, and answers its exit code. */
  async stop() {
    const child = this.child;
    this.child = null;
    const ended = once(child, 'close');
    child.kill('SIGTERM');
    const [code] = await ended;
    return code;
  }

  /** Ends it as `kill -9` does. */
  async kill() {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
}
