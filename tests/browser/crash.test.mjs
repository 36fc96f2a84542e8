// Workers that die, and pages that are left and shown again.

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

scene('a page that is left frees its members, and takes them again', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/?member=1');
  const others = [await browser.open('/?member=2'), await browser.open('/?member=3')];
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');

  // Left for another page: Chromium keeps it in its cache for the way back.
  await page.show();
  await page.page.evaluate(() => {
    window.addEventListener('pageshow', (event) => (window.persisted = event.persisted));
  });
  await page.page.goto('about:blank');
  await others[0].member('1', { role: 'stopped', place: /runs nowhere/ });
  await others[0].leader({ running: 2 });
  await hub.etcdctl.run('put', 'k', 'without it');

  // Its lock and its file are free: another tab could run it. It does not, and the way back does.
  await page.page.goBack({ waitUntil: 'commit' });
  await until('the page to be shown again', () => page.page.evaluate(() => true));
  assert.equal(await page.page.evaluate(() => window.persisted), true, 'it was in the cache');
  await page.member('1', { role: /leader|follower/, place: /in this tab/ });
  await page.leader();
  await page.row('k', 'without it');
});

scene('a page that is left does not keep its member from another tab', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/?member=1');
  const others = [await browser.open('/?member=2'), await browser.open('/?member=3')];
  await page.leader();
  await page.page.goto('about:blank');
  const heir = await browser.open('/?member=1');
  await heir.member('1', { role: /leader|follower/, place: /in this tab/ });

  // Back again, the first page finds its member taken, and says where it is.
  await page.show();
  await page.page.goBack({ waitUntil: 'commit' });
  await page.member('1', { place: /in another tab/ });
  await others[0].leader();
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
