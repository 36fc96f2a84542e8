// The real etcdctl, as a person runs it in a shell.

import { execFile, spawn } from 'node:child_process';
import assert from 'node:assert/strict';

import { need } from './env.mjs';

/** More than any of etcd's own limits: only an etcdctl that hangs is ended by it. */
const ENDED_AFTER_MS = 20_000;

/** More than the largest answer, in JSON. */
const MAX_OUT_BYTES = 64 * 1024 * 1024;

// Not this process's own: etcdctl takes flags from variables.
const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/' };

export class Etcdctl {
  constructor(endpoint) {
    this.flags = [`--endpoints=${endpoint}`];
  }

  /** Runs one command: `{ code, out, err }`. `input` goes to its standard input. */
  try(args, input) {
    return new Promise((resolve) => {
      const options = { timeout: ENDED_AFTER_MS, env, maxBuffer: MAX_OUT_BYTES };
      const child = execFile(need('ETCDCTL'), [...this.flags, ...args], options, (e, out, err) => {
        resolve({ code: e ? (e.code ?? e.signal) : 0, out, err });
      });
      // A command that reads nothing may have ended before this.
      child.stdin.on('error', () => {});
      child.stdin.end(input ?? '');
    });
  }

  /** Runs a command that has to succeed, and answers what it printed. */
  async run(...args) {
    return this.feed(undefined, ...args);
  }

  /** The same, with something on its standard input. */
  async feed(input, ...args) {
    const { code, out, err } = await this.try(args, input);
    assert.equal(code, 0, `etcdctl ${args.join(' ')}: ${err}${out}`);
    return out;
  }

  /** A value as its own line, or `undefined`. */
  async value(key, ...flags) {
    const out = await this.run('get', key, '--print-value-only', ...flags);
    return out === '' ? undefined : out.replace(/\n$/, '');
  }

  /** A command that goes on: its lines as they come, until `end()`. */
  start(...args) {
    const child = spawn(need('ETCDCTL'), [...this.flags, ...args], { env });
    const running = { lines: [], err: '' };
    let rest = '';
    child.stdout.on('data', (data) => {
      const parts = (rest + data).split('\n');
      rest = parts.pop();
      running.lines.push(...parts);
    });
    child.stderr.on('data', (data) => (running.err += data));
    const ended = new Promise((resolve) => child.on('close', resolve));
    running.end = () => {
      child.kill('SIGKILL');
      return ended;
    };
    return running;
  }
}
