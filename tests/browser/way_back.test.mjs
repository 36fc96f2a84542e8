// Pages that are left and come back to. The browser keeps them for that, and what they hold.

import assert from 'node:assert/strict';

import { controlWorker, holdings } from './lib/control.mjs';
import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const NOTHING = { files: [], lock: false };
const RUNS = { role: /leader|follower/, place: /in this tab/ };

scene('a page in the cache holds nothing, and has its member again later', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const [follower, witness] = MEMBERS.filter((name) => name !== leader);
  const control = await controlWorker(tabs[witness]);

  for (const name of [follower, leader]) {
    const tab = tabs[name];
    await hub.etcdctl.run('put', 'k', 'v');
    const running = await holdings(control, name);
    assert.equal(running.lock, true);
    assert.ok(running.files.some((file) => file.startsWith('log-')), `open: ${running.files}`);

    await leave(tab);
    await until('its files and its lock to be free', async () => {
      assert.deepEqual(await holdings(control, name), NOTHING);
      return true;
    });
    await tabs[witness].member(name, { role: 'stopped', place: /runs nowhere/ });
    await tabs[witness].leader({ running: 2 });
    await hub.etcdctl.run('put', 'k', `without ${name}`);

    await comeBack(tab);
    await tab.member(name, RUNS);
    await tab.leader();
    await tab.row('k', `without ${name}`);
    assert.equal((await holdings(control, name)).lock, true);
  }
});

scene('a page in the cache does not keep its member from another tab', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/?member=1');
  const others = [await browser.open('/?member=2'), await browser.open('/?member=3')];
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');
  await leave(page);
  const heir = await browser.open('/?member=1');
  await heir.member('1', RUNS);
  await heir.leader();
  await heir.row('k', 'v');

  // Back again, the first page finds its member taken, and says where it is.
  const boots = heir.workersSeen;
  await comeBack(page);
  await page.member('1', { role: /leader|follower/, place: /in another tab/ });
  await heir.member('1', RUNS);
  assert.equal(heir.workersSeen, boots, 'the heir’s member went on');
  await others[0].leader();
});

/** Goes to another page. */
async function leave(tab) {
  await tab.show();
  await tab.page.evaluate(() => {
    window.shown = [];
    window.addEventListener('pageshow', (event) => window.shown.push(event.persisted));
  });
  await tab.page.goto('about:blank');
}

/** Goes back, to the very page that was left. */
async function comeBack(tab) {
  await tab.show();
  await tab.page.goBack({ waitUntil: 'commit' });
  const seen = await until('the page to be shown again', () => tab.page.evaluate(() => ({
    shown: window.shown ?? [],
    // Says what was in the way when the page had to be loaded anew.
    reasons: performance.getEntriesByType('navigation')[0].notRestoredReasons?.reasons ?? [],
  })));
  const reasons = seen.reasons.map(({ reason }) => reason).join(', ');
  assert.deepEqual(seen.shown, [true], `it was not in the cache: ${reasons}`);
}
