// `kvorum server` as processes: the members of a native cluster.

import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { need } from './env.mjs';
import { Etcdctl } from './etcdctl.mjs';
import { until } from './until.mjs';

/** Members of these names that know of each other, not started. Their data is in `dir`. */
export async function servers(dir, names) {
  const ports = await freePorts(2 * names.length);
  const members = names.map((name, n) => new Server(dir, name, ports[2 * n], ports[2 * n + 1]));
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
  for (const member of members) member.cluster = cluster;
  return members;
}

export class Server {
  constructor(dir, name, client, peer) {
    this.name = name;
    this.dir = join(dir, name);
    this.url = `http://127.0.0.1:${client}`;
    this.peer = `http://127.0.0.1:${peer}`;
    this.etcdctl = new Etcdctl(`127.0.0.1:${client}`);
    this.log = '';
    this.child = null;
  }

  /** Starts it. It answers with its page at once, and serves when its cluster does. */
  async start() {
    const flags = [
      '--name', this.name, '--data-dir', this.dir, '--site', need('KVORUM_SITE'),
      '--listen-client-urls', this.url, '--advertise-client-urls', this.url,
      '--listen-peer-urls', this.peer, '--initial-advertise-peer-urls', this.peer,
      '--initial-cluster', this.cluster,
    ];
    const child = spawn(need('KVORUM_BIN'), ['server', ...flags]);
    this.child = child;
    child.stdout.resume();
    child.stderr.on('data', (data) => (this.log += data));
    await until(`server ${this.name} to answer`, async () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${this.log}`);
      return (await fetch(this.url)).ok;
    });
    return this;
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

/** Ports that were free a moment ago. */
async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => listener.address().port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}
