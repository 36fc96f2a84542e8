// Tabs in the background: the browser slows the timers of their pages, and must not slow the
// cluster.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const HIDDEN_MS = 60_000;
const MEMBERS = ['1', '2', '3'];

/** A page's timers run at most once a second when it is hidden. */
const SLOWED_MS = 900;

scene('two hidden tabs of three hold no election for a minute', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();

  // The leader is one of the hidden: it has to send heartbeats, and another one to wait for them.
  const shown = MEMBERS.find((name) => name !== leader);
  await tabs[shown].show();
  const hidden = MEMBERS.filter((name) => name !== shown).map((name) => tabs[name]);
  for (const tab of hidden) {
    await until('the tab to be hidden', async () => (await visibility(tab)) === 'hidden');
  }
  assert.equal(await visibility(tabs[shown]), 'visible');
  const before = (await tabs[shown].card(leader)).term;
  for (const tab of hidden) await startTimer(tab);
  const end = performance.now() + HIDDEN_MS;
  for (let count = 0; performance.now() < end; count += 1) {
    const began = performance.now();
    await hub.etcdctl.run('put', 'count', String(count));
    assert.equal(await hub.etcdctl.value('count'), String(count));
    for (const card of Object.values(await tabs[shown].cards())) {
      assert.equal(card.role, card.name === leader ? 'leader' : 'follower', `member ${card.name}`);
      assert.equal(card.term, before, `the term of member ${card.name}`);
    }
    await sleep(Math.max(0, 1000 - (performance.now() - began)));
  }

  // It was a minute in the dark: the control timer, meant for every 50 ms, tells.
  for (const tab of hidden) {
    const { visible, gaps } = await tab.page.evaluate(() => window.control);
    assert.equal(visible, 0, 'looks at which the tab was visible');
    gaps.sort((a, b) => a - b);
    const median = gaps[Math.floor(gaps.length / 2)];
    console.log(`# ${gaps.length} runs of the control timer, ${Math.round(median)} ms apart`);
    assert.ok(median >= SLOWED_MS, `the page's timers were not slowed: ${median} ms apart`);
  }
  const after = await tabs[shown].cards();
  assert.equal(after[leader].role, 'leader');
  assert.equal(after[leader].term, before);
});

function visibility(tab) {
  return tab.page.evaluate(() => document.visibilityState);
}

/** A timer on the page's own thread, which keeps how far apart it ran. */
function startTimer(tab) {
  return tab.page.evaluate(() => {
    const control = { visible: 0, gaps: [] };
    window.control = control;
    let last = performance.now();
    const run = () => {
      const now = performance.now();
      control.gaps.push(now - last);
      if (document.visibilityState !== 'hidden') control.visible += 1;
      last = now;
      setTimeout(run, 50);
    };
    setTimeout(run, 50);
  });
}
