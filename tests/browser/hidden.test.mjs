// Tabs in the background: the browser slows the timers of their pages, and must not slow the
// cluster.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const HIDDEN_MS = 60_000;
const MEMBERS = ['1', '2', '3'];

/** A page's timers run at most once a second when it is hidden. */
const SLOWED_MS = 900;

/**
 * A hidden tab's processes come after all others: where something else takes the whole machine,
 * or its disk, no member can keep its time. What tells is a Worker beside the member's that does
 * nothing but run every 50 ms and sync a byte now and then. When it, too, was held up for half an
 * election timeout, a lost minute counts for nothing and is tried again.
 */
const STARVED_MS = 500;
const TRIES = 3;

scene('two hidden tabs of three hold no election for a minute', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  for (const name of MEMBERS) await startWorker(tabs[name], name);
  for (let tries = 1; ; tries += 1) {
    const election = await hideForAMinute(hub, tabs);
    if (!election) return;
    const gaps = await Promise.all(Object.values(tabs).map(longestGap));
    const said = `${election}, and control Workers were held up for ${gaps.join(', ')} ms`;
    assert.ok(Math.max(...gaps) >= STARVED_MS && tries < TRIES, said);
    console.log(`# the machine was too busy: ${said}; once more`);
  }
}, { timeout: 5 * 60_000 });

/** Answers what the election was, if there was one. */
async function hideForAMinute(hub, tabs) {
  // The leader is one of the hidden: it has to send heartbeats, and another one to wait for them.
  const leader = await tabs['1'].leader();
  const shown = MEMBERS.find((name) => name !== leader);
  await tabs[shown].show();
  const hidden = MEMBERS.filter((name) => name !== shown).map((name) => tabs[name]);
  for (const tab of hidden) {
    await until('the tab to be hidden', async () => (await visibility(tab)) === 'hidden');
  }
  assert.equal(await visibility(tabs[shown]), 'visible');
  const { term } = await tabs[shown].card(leader);
  for (const tab of hidden) await startTimer(tab);
  for (const tab of Object.values(tabs)) await longestGap(tab);

  const end = performance.now() + HIDDEN_MS;
  for (let count = 0; performance.now() < end; count += 1) {
    const began = performance.now();
    const put = await hub.etcdctl.try(['put', 'count', String(count)]);
    for (const card of Object.values(await tabs[shown].cards())) {
      const wanted = card.name === leader ? 'leader' : 'follower';
      if (card.role !== wanted || card.term !== term) {
        return `member ${card.name} was a ${card.role} of term ${card.term}, not ${wanted} of ${term}`;
      }
    }
    assert.equal(put.code, 0, put.err);
    assert.equal(await hub.etcdctl.value('count'), String(count));
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
  return null;
}

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
      if (window.control !== control) return;
      const now = performance.now();
      control.gaps.push(now - last);
      if (document.visibilityState !== 'hidden') control.visible += 1;
      last = now;
      setTimeout(run, 50);
    };
    setTimeout(run, 50);
  });
}

/** A member's Worker that is never told to start one: the page's policy allows no other script. */
async function startWorker(tab, name) {
  await tab.page.evaluate(() => {
    window.idle = new Worker('/browser.js', { type: 'module', name: 'control' });
  });
  const worker = await until('the control Worker', () => tab.workers.get('control'));
  await worker.evaluate(async (name) => {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle(`control-${name}`, { create: true });
    const handle = await file.createSyncAccessHandle();
    let last = performance.now();
    let runs = 0;
    self.longest = 0;
    setInterval(() => {
      self.longest = Math.max(self.longest, performance.now() - last);
      last = performance.now();
      runs += 1;
      if (runs % 4 !== 0) return;
      handle.write(new Uint8Array(1), { at: 0 });
      handle.flush();
    }, 50);
  }, name);
}

/** Of the control Worker since the last call, in milliseconds. */
function longestGap(tab) {
  return tab.workers.get('control').evaluate(() => {
    const { longest } = self;
    self.longest = 0;
    return Math.round(longest);
  });
}
