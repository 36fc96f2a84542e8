// How many puts a second members in JavaScript take, durable: beside what a file of the same host
// takes alone, a write and a flush each. Both in turns of a second, so that what else the machine
// does hits them alike. `cargo xtask figures` runs this; it asserts nothing about times.

import assert from 'node:assert/strict';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';

import { controlWorker } from '../browser/lib/control.mjs';
import { put } from '../browser/lib/puts.mjs';
import { scene } from '../browser/lib/scene.mjs';

const MEMBERS = ['1', '2', '3'];
const CALLERS = [1, 100];
const VALUE_BYTES = 256;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 6);
const TURN_MS = 1000;
// About what one put takes in a log.
const RECORD_BYTES = 350;

const HEAD = ['', 'callers', 'puts/s', 'p50 ms', 'p99 ms', 'puts a flush'];

scene('puts in a browser', async (stage) => {
  const site = await stage.site({
    'browser.js': (text) => text.replace('host = new Host(', 'host = self.host = new Host('),
    'host.js': countSyncs,
  });
  const hub = await stage.hub({ site });
  const browser = await stage.browser(hub);
  let page = await browser.open('/');
  await (await page.worker(await page.leader())).evaluate(() => {
    const channel = new BroadcastChannel('syncs');
    channel.onmessage = () => channel.postMessage({ is: self.host.syncs });
  });
  await (await controlWorker(page)).evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle('control', { create: true });
    const handle = await file.createSyncAccessHandle();
    const channel = new BroadcastChannel('raw');
    channel.onmessage = ({ data: { turn, bytes } }) => {
      const record = new Uint8Array(bytes).fill(7);
      const until = performance.now() + turn;
      let count = 0;
      while (performance.now() < until) {
        handle.write(record, { at: (count * bytes) % (1024 * 1024) });
        handle.flush();
        count += 1;
      }
      channel.postMessage({ is: count });
    };
  });
  // Whoever drives the browser is told of every frame of every socket, which takes longer than all
  // else. So nobody does while there are puts.
  const alone = async (puts) => {
    await browser.playwright.close();
    const done = await puts();
    [page] = await browser.connectAnew();
    return done;
  };
  await measure(hub, {
    what: 'three members in a tab',
    rawWhat: 'raw write + flush',
    raw: () => ask(page, 'raw', { turn: TURN_MS, bytes: RECORD_BYTES }),
    syncs: () => ask(page, 'syncs'),
    alone,
  });
}, { timeout: 300_000 });

scene('puts in Node', async (stage) => {
  const hub = await stage.hub();
  const members = stage.nodes(hub, MEMBERS);
  await Promise.all(members.map((member) => member.serves()));
  const file = openSync(join(stage.dir, 'control'), 'w');
  const record = new Uint8Array(RECORD_BYTES).fill(7);
  const raw = () => {
    const until = performance.now() + TURN_MS;
    let count = 0;
    while (performance.now() < until) {
      writeSync(file, record, 0, record.length, (count * record.length) % (1024 * 1024));
      fdatasyncSync(file);
      count += 1;
    }
    return count;
  };
  await measure(hub, { what: 'three members in Node', raw, rawWhat: 'raw write + fdatasync' });
  closeSync(file);
}, { timeout: 300_000 });

/** Has the host of a member count its flushes. */
function countSyncs(text) {
  return text.replace('  #sync() {\n', '  syncs = 0;\n\n  #sync() {\n    this.syncs += 1;\n');
}

/** Asks the Worker that listens there. */
function ask(page, name, about = {}) {
  return page.page.evaluate(([name, about]) => new Promise((resolve) => {
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => {
      channel.close();
      resolve(data.is);
    };
    channel.postMessage(about);
  }), [name, about]);
}

/** Prints a table. */
async function measure(hub, { what, raw, rawWhat, syncs, alone = (puts) => puts() }) {
  const session = connect(hub.url);
  const rows = [];
  for (const callers of CALLERS) {
    const [times, raws, flushes] = [[], [], []];
    let elapsed = 0;
    for (let second = 0; second < SECONDS; second += 1) {
      const before = await syncs?.();
      const done = await alone(() => turn(session, callers));
      times.push(...done.times);
      elapsed += done.ms;
      if (syncs) flushes.push(await syncs() - before);
      raws.push(await raw());
    }
    assert.ok(times.length > 0, 'no put was acknowledged');
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.floor(times.length * part)].toFixed(2);
    const sum = (all) => all.reduce((one, other) => one + other, 0);
    const shared = syncs ? (times.length / sum(flushes)).toFixed(1) : '';
    const rate = (count, ms) => Math.round(count / ms * 1000);
    rows.push([what, callers, rate(times.length, elapsed), at(0.5), at(0.99), shared]);
    rows.push([rawWhat, 1, rate(sum(raws), SECONDS * TURN_MS), '', '', '']);
  }
  session.close();
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(HEAD), line(HEAD.map(() => '---')), ...rows.map(line)].join('\n'));
}

let count = 0;

/** Puts for a second: how long each took, and all of it, in milliseconds. */
async function turn(session, callers) {
  const [times, start] = [[], performance.now()];
  const until = start + TURN_MS;
  const value = 'x'.repeat(VALUE_BYTES);
  await Promise.all(Array.from({ length: callers }, async () => {
    while (performance.now() < until) {
      count += 1;
      const begun = performance.now();
      const { status, words } = await put(session, `k${count % 10_000}`, value);
      assert.equal(status, 0, words);
      times.push(performance.now() - begun);
    }
  }));
  return { times, ms: performance.now() - start };
}
