// Pages that are left and come back to. The browser keeps them for that, and what they hold.

import assert from 'node:assert/strict';

import { controlWorker, held, locksOf } from './lib/control.mjs';
import { assertBack, firstRead, showNothing, showPrefix, watchPage } from './lib/first_read.mjs';
import { Register } from './lib/register.mjs';
import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const KEPT = 'kept in the cache';
const TRIES = 3;
const RUNS = { role: /leader|follower/, place: /in this tab/ };

scene('a page in the cache holds nothing, and has its member again later', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const [follower, witness] = MEMBERS.filter((name) => name !== leader);
  const control = await controlWorker(tabs[witness]);
  const register = stage.ends(new Register(hub.etcdctl, 'k'));

  for (const name of [follower, leader]) {
    await wasKept(async () => {
      const locks = locksOf(name);
      const running = await held(control, name, { locks });
      assert.ok(running.files.some((file) => file.startsWith('log-')), `open: ${running.files}`);
      await showNothing(tabs[name]);
      await watchPage(tabs[name]);

      await leave(tabs[name]);
      await held(control, name, { files: [], locks: [] });
      await tabs[witness].member(name, { role: 'stopped', place: /runs nowhere/ });
      await tabs[witness].leader({ running: 2 });
      await register.goesOn();

      const acknowledged = register.revision;
      const begun = performance.now();
      const back = await comeBack(tabs[name]);
      if (back === KEPT) {
        await showPrefix(tabs[name], 'k');
        const read = await firstRead((look) => tabs[name].page.evaluate(look));
        assertBack(read, { acknowledged, after: performance.now() - begun });
      }
      await tabs[name].member(name, RUNS);
      await tabs[name].leader();
      await held(control, name, { locks });
      return back;
    });
  }
  await register.wasNeverStale();
});

scene('a page in the cache does not keep its member from another tab', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/?member=1');
  for (const name of ['2', '3']) await browser.open(`/?member=${name}`);
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');
  await wasKept(async () => {
    await page.member('1', RUNS);
    await leave(page);
    const heir = await browser.open('/?member=1');
    await heir.member('1', RUNS);
    await heir.leader();
    await heir.row('k', 'v');

    // Back again, the first page finds its member taken, and says where it is.
    const { workersSeen } = heir;
    const back = await comeBack(page);
    if (back === KEPT) {
      await page.member('1', { role: /leader|follower/, place: /in another tab/ });
      await heir.member('1', RUNS);
      assert.equal(heir.workersSeen, workersSeen, 'the heir’s member went on');
    }
    await heir.close();
    if (back !== KEPT) await page.page.reload();
    return back;
  });
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

/** Goes back to the page that was left, and answers whether it is that very one. */
async function comeBack(tab) {
  await tab.show();
  const cdp = await tab.page.context().newCDPSession(tab.page);
  await cdp.send('Page.enable');
  let reasons = 'no reason';
  cdp.on('Page.backForwardCacheNotUsed', ({ notRestoredExplanations: all }) => {
    reasons = all.map(({ reason }) => reason).join(', ');
  });
  await tab.page.goBack({ waitUntil: 'commit' });
  const shown = await until('the page to be shown again', () =>
    tab.page.evaluate(() => document.readyState === 'complete' && (window.shown ?? [false])));
  return shown[0] ? KEPT : `loaded anew: ${reasons}`;
}

/**
 * Plays until the page was kept. Where others have the processors Chromium now and then forgets a
 * page, because it counts it as left before it has heard that its locks are free.
 */
async function wasKept(play) {
  const seen = [];
  do seen.push(await play());
  while (seen.at(-1) !== KEPT && seen.length < TRIES);
  assert.equal(seen.at(-1), KEPT, seen.join('; '));
}
