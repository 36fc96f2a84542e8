// No call into the module holds its Worker for long.

import assert from 'node:assert/strict';

import { controlWorker } from './lib/control.mjs';
import { load } from './lib/load.mjs';
import { scene } from './lib/scene.mjs';

const MEMBERS = ['1', '2', '3'];

/**
 * What one call may take on a machine that is at rest. A control Worker does the same work again
 * and again, and syncs a little: where others have the processors and the disk, its slowest round
 * takes many times as long as its quickest, and a call may take so many times as long, too. What a
 * call works by itself is told in tests/node/longest.test.mjs, whatever the machine does.
 */
const CALL_MS = 50;

scene('no call into the module holds its Worker for long', async (stage) => {
  // The page does not need this figure; here it is told.
  const site = await stage.site({
    'browser.js': (text) => text.replace('host = new Host(', 'host = self.host = new Host('),
  });
  const hub = await stage.hub({ site });
  const page = await (await stage.browser(hub)).open('/');
  await page.leader();
  const control = await controlWorker(page);
  await startControl(control);
  console.log(`# ${await load(stage, hub, { keys: 20_000, mib: 30, sideBySide: 10 })}`);

  const rounds = await control.evaluate(() => self.rounds);
  const slowed = Math.max(...rounds) / Math.min(...rounds);
  const longest = await Promise.all(MEMBERS.map(async (name) =>
    (await page.worker(name)).evaluate(() => self.host.longest)));
  for (const [n, { ms, call }] of longest.entries()) {
    console.log(`# member ${MEMBERS[n]}: the longest call was ${call}, ${ms.toFixed(1)} ms`);
  }
  console.log(`# the machine slowed a control Worker by up to ${slowed.toFixed(1)} times`);
  assert.ok(longest.every(({ ms }) => ms > 0 && ms < CALL_MS * slowed), 'a call took too long');
}, { timeout: 300_000 });

/** Keeps how long each round of some work and a small sync takes. */
function startControl(control) {
  return control.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle('control', { create: true });
    const handle = await file.createSyncAccessHandle();
    const bytes = new Uint8Array(64 * 1024);
    self.rounds = [];
    const round = (sums) => {
      const begun = performance.now();
      for (let n = 0; n < sums; n += 1) bytes[n % bytes.length] += n;
      handle.write(bytes, { at: 0 });
      handle.flush();
      return performance.now() - begun;
    };
    let sums = 100_000;
    while (round(sums) < 20) sums *= 1.5;
    setInterval(() => self.rounds.push(round(sums)), 100);
  });
}
