// Pages that are frozen and go on later, and pages whose process dies.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { controlWorker, gaps, held, keepTime, locksOf } from './lib/control.mjs';
import {
  assertBack, firstRead, showNothing, showPrefix, watchNext, watchPage,
} from './lib/first_read.mjs';
import { Register } from './lib/register.mjs';
import { HUB_GONE, scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const RUNS = { role: /leader|follower/, place: /in this tab/ };
const FROZEN_MS = 30_000;

scene('the leader’s page, frozen by its browser, reads nothing stale', (stage) =>
  play(stage, async (browser, tab, control) => {
    const cdp = await browser.context.newCDPSession(tab.page);
    const state = (to) => cdp.send('Page.setWebLifecycleState', { state: to });
    await state('frozen');
    const stands = () => control.evaluate(() => self.runs);
    const before = await stands();
    await sleep(1000);
    assert.equal(await stands(), before, 'its Workers stand still');
    return () => state('active');
  }));

scene('the leader’s page, stopped with its process, reads nothing stale', (stage) =>
  play(stage, async (browser, tab) => {
    const id = await processOf(browser, tab);
    process.kill(id, 'SIGSTOP');
    await until('it to be stopped', async () =>
      (await readFile(`/proc/${id}/stat`, 'utf8')).split(') ')[1].startsWith('T'));
    return async () => process.kill(id, 'SIGCONT');
  }));

async function play(stage, freeze) {
  // A frozen page's sockets are closed.
  stage.expects(...HUB_GONE);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const tab = tabs[leader];
  const { term } = await tab.card(leader);
  const witness = tabs[MEMBERS.find((name) => name !== leader)];
  const owners = await controlWorker(witness);
  const locks = locksOf(leader);
  const register = stage.ends(new Register(hub.etcdctl, 'k'));
  await until('reads', () => register.writes > 0 && register.reads > 0);
  await showNothing(tab);
  const control = await controlWorker(tab);
  await keepTime(control);
  await watchPage(tab);

  const thaw = await freeze(browser, tab, control);
  const begun = performance.now();
  // The others go on. What the page is told last it does when it runs again, first.
  await witness.put('k', 'without it');
  await until('an answer', async () =>
    (await witness.page.textContent('[data-field=put-answer]')).startsWith('Put “k”: answered'));
  await witness.row('k', 'without it');
  const { revision } = (await witness.rows()).k;
  register.acknowledged(Number(revision));
  // Those who ask through the hub are served, too, once it has noticed.
  const { writes: before } = register;
  await until('a put by etcdctl', () => register.writes > before);
  // It still owns its member: another tab asks for it in vain, and is gone when this one hears.
  const { files } = await held(owners, leader, { locks });
  assert.ok(files.some((file) => file.startsWith('log-')), `open: ${files}`);
  const [heir] = await Promise.all([
    browser.open(`/?member=${leader}`),
    held(owners, leader, { locks: [...locks, locks.at(-1)] }),
  ]);
  await held(owners, leader, { locks, files });
  for (const name of MEMBERS) await heir.member(name, { place: /in another tab/ });
  assert.equal(heir.workersSeen, 0, 'no second owner was started');
  await heir.close();
  await sleep(FROZEN_MS - (performance.now() - begun));
  await held(owners, leader, { locks, files });
  const told = showPrefix(tab, 'k');
  const acknowledged = register.revision;
  const thawed = performance.now();
  await thaw();
  await told;

  const read = await firstRead((look) => tab.page.evaluate(look));
  const after = performance.now() - thawed;
  const frozen = Math.max(...(await gaps(control)));
  assert.ok(frozen > FROZEN_MS - 1000, `it was frozen for ${frozen} ms only`);
  console.log(`# frozen for ${Math.round(frozen)} ms`);
  assertBack(read, { acknowledged, after });
  const led = read.roles.slice(1).filter((role) => role === `leader of ${term}`);
  assert.deepEqual(led, [], `it led no more: ${read.roles.join(', ')}`);

  await tab.leader();
  await held(owners, leader, { locks });
  await register.goesOn();
  await register.wasNeverStale();
}

scene('a page whose process dies has its member again when it is loaded anew', async (stage) => {
  const hub = await stage.hub();
  let browser = await stage.browser(hub);
  let tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const [follower, witness] = MEMBERS.filter((name) => name !== leader);
  const register = stage.ends(new Register(hub.etcdctl, 'k'));
  for (const name of [follower, leader]) {
    const locks = locksOf(name);
    const owners = await controlWorker(tabs[witness]);
    await held(owners, name, { locks });
    const reload = await crash(browser, tabs[name]);
    await held(owners, name, { locks: [], files: [] });
    await tabs[witness].member(name, { role: 'stopped', place: /runs nowhere/ });
    await tabs[witness].leader({ running: 2 });
    await register.goesOn();

    const acknowledged = register.revision;
    const read = await reload();
    assertBack(read, { acknowledged, after: read.at });
    const again = await browser.connectAnew();
    tabs = Object.fromEntries(MEMBERS.map((of) =>
      [of, again.find((tab) => tab.page.url().endsWith(`member=${of}`))]));
    await tabs[name].member(name, RUNS);
    await tabs[name].leader();
    await held(await controlWorker(tabs[witness]), name, { locks });
  }
  await register.wasNeverStale();
});

/** Ends the process of a page. What it answers loads it anew, and answers what it reads first. */
async function crash(browser, tab) {
  const cdp = await browser.context.newCDPSession(tab.page);
  await cdp.send('Page.enable');
  await watchNext(cdp);
  let crashed = false;
  tab.page.on('crash', () => (crashed = true));
  // It has no one to answer.
  cdp.send('Page.crash').catch(() => {});
  await until('the page to crash', () => crashed);
  return async () => {
    await cdp.send('Page.reload');
    return firstRead((look) => evaluate(cdp, look));
  };
}

/** Evaluates in a page that Playwright has done with. */
async function evaluate(cdp, work) {
  const expression = `(${work})()`;
  const { result } = await cdp.send('Runtime.evaluate', { expression, returnByValue: true });
  return result.value;
}

/** The process that runs a page: the one that works when the page does. */
async function processOf(browser, tab) {
  const times = async () =>
    new Map((await browser.processes()).map(({ id, cpuTime }) => [id, cpuTime]));
  const before = await times();
  await tab.page.evaluate(() => {
    const end = performance.now() + 2000;
    while (performance.now() < end);
  });
  const worked = [...await times()].map(([id, time]) => [id, time - (before.get(id) ?? 0)]);
  const [[id, most], [, next]] = worked.sort((a, b) => b[1] - a[1]);
  assert.ok(most > 2 * next, `process ${id} worked for ${most} s, another one for ${next} s`);
  return id;
}
