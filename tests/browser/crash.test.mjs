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

/** How many Workers the page has. */
async function runs(page) {
  return page.workersSeen;
}

/** What a trap in the module comes to: an error that nothing catches, in the member's Worker. */
async function crash(page, name) {
  const worker = page.workers.get(name);
  await worker.evaluate(() => setTimeout(() => { throw new Error('crashed on purpose'); }));
}
