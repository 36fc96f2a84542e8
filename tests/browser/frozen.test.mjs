// Pages that are frozen and go on later, and pages whose process dies.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { controlWorker, gaps, keepTime } from './lib/control.mjs';
import { Register } from './lib/register.mjs';
import { HUB_GONE, scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const RUNS = { role: /leader|follower/, place: /in this tab/ };
const FROZEN_MS = 30_000;

/** From the moment in which the page may run again until it shows what it read then. */
const BACK_MS = 2000;

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
  const register = stage.ends(new Register(hub.etcdctl, 'k'));
  await until('reads', () => register.writes > 0 && register.reads > 0);
  await showPrefix(tab, 'nothing/');
  await tab.caption(/keys that start with “nothing\/”/i);
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
  await sleep(FROZEN_MS - (performance.now() - begun));
  const told = showPrefix(tab, 'k');
  const acknowledged = register.revision;
  const thawed = performance.now();
  await thaw();
  await told;

  const read = await until('the page to show what it read', () =>
    tab.page.evaluate(() => window.read()));
  const after = performance.now() - thawed;
  const frozen = Math.max(...(await gaps(control)));
  assert.ok(frozen > FROZEN_MS - 1000, `it was frozen for ${frozen} ms only`);
  console.log(`# frozen for ${Math.round(frozen)} ms, back after ${Math.round(after)} ms`);
  assert.ok(read.revision >= acknowledged, `it read revision ${read.revision} of ${acknowledged}`);
  assert.ok(after < BACK_MS, `it took ${Math.round(after)} ms`);
  const led = read.roles.slice(1).filter((role) => role === `leader of ${term}`);
  assert.deepEqual(led, [], `it led no more: ${read.roles.join(', ')}`);

  await tab.leader();
  const { writes } = register;
  await until('more puts by etcdctl', () => register.writes > writes + 5);
  await register.end();
  assert.deepEqual(register.stale, []);
  console.log(`# ${register.writes} writes, ${register.reads} reads, none stale`);
}

scene('a page whose process dies has its member again when it is loaded anew', async (stage) => {
  const hub = await stage.hub();
  let browser = await stage.browser(hub);
  let tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const [follower, witness] = MEMBERS.filter((name) => name !== leader);
  for (const name of [follower, leader]) {
    await hub.etcdctl.run('put', 'k', `with ${name}`);
    const reload = await crash(browser, tabs[name]);
    await tabs[witness].member(name, { role: 'stopped', place: /runs nowhere/ });
    await tabs[witness].leader({ running: 2 });
    assert.equal(await hub.etcdctl.value('k'), `with ${name}`);
    await hub.etcdctl.run('put', 'k', `without ${name}`);

    await reload();
    const again = await browser.connectAnew();
    tabs = Object.fromEntries(MEMBERS.map((of) =>
      [of, again.find((tab) => tab.page.url().endsWith(`member=${of}`))]));
    await tabs[name].member(name, RUNS);
    await tabs[name].leader();
    await tabs[name].row('k', `without ${name}`);
  }
});

/** Ends the process of a page, and answers what loads it anew. */
async function crash(browser, tab) {
  const cdp = await browser.context.newCDPSession(tab.page);
  let crashed = false;
  tab.page.on('crash', () => (crashed = true));
  // It has no one to answer.
  cdp.send('Page.crash').catch(() => {});
  await until('the page to crash', () => crashed);
  return () => cdp.send('Page.reload');
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

/** Types a prefix of keys, also where nothing can be typed. */
function showPrefix(tab, prefix) {
  return tab.page.evaluate((prefix) => {
    const field = [...document.querySelectorAll('label')]
      .find((label) => label.textContent.trim() === 'Prefix').control;
    field.value = prefix;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, prefix);
}

/** Has the page keep what it shows: its member's roles, and the first answer about “k”. */
function watchPage(tab) {
  return tab.page.evaluate(() => {
    const text = (from, of) => from?.querySelector(of)?.textContent ?? '';
    const roles = [];
    let revision = null;
    const look = () => {
      const card = [...document.querySelectorAll('[data-member]')]
        .find((card) => text(card, '.place').includes('in this tab'));
      const role = `${card?.dataset.role} of ${text(card, '[data-field=term]')}`;
      if (roles.at(-1) !== role) roles.push(role);
      const row = document.querySelector('[data-key=k]');
      if (!row || !text(document, '[data-field=caption]').includes('“k”')) return;
      revision ??= Number(text(row, '[data-label=revision]'));
    };
    look();
    new MutationObserver(look).observe(document.body,
      { subtree: true, childList: true, characterData: true, attributes: true });
    window.read = () => revision && { revision, roles };
  });
}
