// Workers that die.


import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

scene('a Worker that crashes is started again', async (stage) => {
  stage.expects(/crash/i);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  const leader = await page.leader();
  await hub.etcdctl.run('put', 'k', 'before');
  const follower = MEMBERS.find((name) => name !== leader);

  for (const victim of [follower, leader]) {
    const boots = await runs(page);
    await crash(page, victim);
    await until('another Worker to run the member', async () => (await runs(page)) > boots);
    await page.leader();
    await page.member(victim, { role: /leader|follower/, place: /in this tab/ });
    await until('writes to succeed', async () =>
      (await hub.etcdctl.try(['put', 'after', victim])).code === 0);
    await page.row('after', victim);
  }
  assert.equal(await hub.etcdctl.value('k'), 'before');
});

scene('a member says on the console that the end of its log was torn', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tab = await browser.open('/');
  await tab.leader();
  const warned = [];
  tab.page.on('console', (message) => message.type() === 'warning' && warned.push(message.text()));
  await tab.press('3', 'Stop');
  await tab.member('3', { role: 'stopped', reason: null });
  await tab.page.evaluate(tear, ['kvorum', 'default', '3']);
  await tab.press('3', 'Restart');
  await tab.member('3', { role: /leader|follower/ });
  await until('it to be said', () => warned.some((text) =>
    /^kvorum: default 3: the end of the log was not complete: cut \d+ bytes/.test(text)));
});

// Runs in the page.
/** As a crash may leave a batch of two pages: only the second one is on the disk. */
async function tear(path) {
  let directory = await navigator.storage.getDirectory();
  for (const name of path) directory = await directory.getDirectoryHandle(name);
  const log = await directory.getFileHandle('log-00000001');
  const bytes = new Uint8Array(await (await log.getFile()).arrayBuffer());
  const last = bytes.findLastIndex((byte) => byte !== 0);
  const file = await log.createWritable({ keepExistingData: true });
  await file.write({ type: 'write', position: last + 4096, data: new Uint8Array(100).fill(7) });
  await file.close();
}

/** How many Workers the page has. */
async function runs(page) {
  return page.workersSeen;
}

/** What a trap in the module comes to: an error that nothing catches, in the member's Worker. */
async function crash(page, name) {
  const worker = await page.worker(name);
  await worker.evaluate(() => setTimeout(() => { throw new Error('crashed on purpose'); }));
}
