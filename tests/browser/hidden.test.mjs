// Tabs in the background: the browser slows the timers of their pages, and must not slow the
// cluster.

import assert from 'node:assert/strict';

import { controlWorker, gaps as gapsOf, keepTime } from './lib/control.mjs';
import { scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

/** Seconds in the dark that are looked at. */
const SECONDS = 60;

/** A page's timers run at most once a second when it is hidden. */
const SLOWED_MS = 900;

/**
 * A hidden tab's processes come after all others: where something else takes the whole machine,
 * or its disk, no member can keep its time. What tells is a Worker beside the member's that does
 * nothing but run every 50 ms and sync a byte now and then. An election just after it was held up,
 * too, for half an election timeout is not the tabs' fault, and the seconds are counted on from
 * there. On a machine that is at rest there is none.
 */
const STARVED_MS = 500;
const STARVED_AGO_MS = 5000;
const INTERRUPTIONS = 5;

scene('two hidden tabs of three hold no election for a minute', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  for (const name of MEMBERS) await startWorker(tabs[name], name);
  const gaps = [];
  let count = 0;
  let interruptions = 0;
  let dark = await hide(tabs);
  while (count < SECONDS) {
    const trouble = await oneSecond(hub, dark, count);
    if (!trouble) {
      count += 1;
      continue;
    }
    const heldUp = await Promise.all(Object.values(tabs).map(longestGap));
    const said = `${trouble}, and control Workers were held up for ${heldUp.join(', ')} ms`;
    interruptions += 1;
    assert.ok(Math.max(...heldUp) >= STARVED_MS && interruptions <= INTERRUPTIONS, said);
    console.log(`# the machine was too busy after ${count} s: ${said}`);
    gaps.push(...await timerGaps(dark));
    dark = await hide(tabs);
  }
  gaps.push(...await timerGaps(dark));

  // It was a minute in the dark: the control timers, meant for every 50 ms, tell. Of one that was
  // not slowed there would be many more runs than of all others.
  gaps.sort((a, b) => a - b);
  const median = gaps[Math.floor(gaps.length / 2)];
  console.log(`# ${gaps.length} runs of the control timers, ${Math.round(median)} ms apart`);
  assert.ok(median >= SLOWED_MS, `the pages' timers were not slowed: ${median} ms apart`);
}, { timeout: 5 * 60_000 });

/** Hides two tabs behind a third, and answers which they are and who leads. */
async function hide(tabs) {
  // The leader is one of the hidden: it has to send heartbeats, and another one to wait for them.
  const leader = await tabs['1'].leader();
  const shown = tabs[MEMBERS.find((name) => name !== leader)];
  await shown.show();
  const hidden = Object.values(tabs).filter((tab) => tab !== shown);
  for (const tab of hidden) {
    await until('the tab to be hidden', async () => (await visibility(tab)) === 'hidden');
  }
  assert.equal(await visibility(shown), 'visible');
  for (const tab of hidden) await startTimer(tab);
  const { term } = await shown.card(leader);
  return { shown, hidden, leader, term };
}

/** Answers what was not as it should be. */
async function oneSecond(hub, { shown, leader, term }, count) {
  const began = performance.now();
  const put = await hub.etcdctl.try(['put', 'count', String(count)]);
  for (const card of Object.values(await shown.cards())) {
    const wanted = card.name === leader ? 'leader' : 'follower';
    if (card.role !== wanted || card.term !== term) {
      return `member ${card.name} was a ${card.role} of term ${card.term}, not ${wanted} of ${term}`;
    }
  }
  if (put.code !== 0) return `a put failed: ${put.err}`;
  assert.equal(await hub.etcdctl.value('count'), String(count));
  await sleep(Math.max(0, 1000 - (performance.now() - began)));
  return null;
}

/** How far apart the control timers of the hidden tabs ran. */
async function timerGaps({ hidden }) {
  const controls = await Promise.all(
    hidden.map((tab) => tab.page.evaluate(() => window.control)),
  );
  for (const { visible } of controls) assert.equal(visible, 0, 'looks at which a tab was visible');
  return controls.flatMap(({ gaps }) => gaps);
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

/** A Worker that keeps the time, and writes and syncs a byte now and then. */
async function startWorker(tab, name) {
  const worker = await controlWorker(tab);
  await keepTime(worker);
  await worker.evaluate(async (name) => {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle(`control-${name}`, { create: true });
    const handle = await file.createSyncAccessHandle();
    setInterval(() => {
      handle.write(new Uint8Array(1), { at: 0 });
      handle.flush();
    }, 1000);
  }, name);
}

/** Of the control Worker in the last seconds, in milliseconds. */
async function longestGap(tab) {
  return Math.round(Math.max(0, ...await gapsOf(tab.workers.get('control'), STARVED_AGO_MS)));
}
