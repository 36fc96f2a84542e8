// Directories that are not what their members' peers remember: wiped, rolled back, copied. Each is
// refused, its card says what happened and what can be done, and the others go on.

import assert from 'node:assert/strict';

import { controlWorker, held, putBack, save, wipe } from './lib/control.mjs';
import { scene } from './lib/scene.mjs';
import { sleep } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const RUNS = { role: /leader|follower/, place: /in this tab/ };
const REFUSED = { role: 'stopped', reason: 'refused' };

/** As in copied.txt and rolled-back.txt of crates/sim/scripts. */
const COPIED = /a copy or an older state of one that has run since; use that one/;

scene('a member whose storage was wiped is refused, not elected', async (stage) => {
  const { hub, browser, tabs, control, name, others } = await open(stage);
  await stop(tabs[name], control, name);
  await wipe(control, name);
  const back = await browser.open(`/?member=${name}`);
  await saysWhy(back, name, /what was stored here is gone/);
  await othersGoOn(hub, tabs, back, name, others);
  await makesNoMajority(hub, tabs, others);
});

scene('a member that is rolled back to older files is refused', async (stage) => {
  const { hub, browser, tabs, control, name, others } = await open(stage);
  await stop(tabs[name], control, name);
  const old = await save(control, name);
  tabs[name] = await browser.open(`/?member=${name}`);
  await tabs[name].leader();
  for (const n of MEMBERS) await hub.etcdctl.run('put', `since/${n}`, 'acknowledged');
  await tabs[name].row('since/3', 'acknowledged');

  await stop(tabs[name], control, name);
  await putBack(control, name, old);
  const back = await browser.open(`/?member=${name}`);
  await saysWhy(back, name, COPIED);
  await othersGoOn(hub, tabs, back, name, others);
  assert.equal(await hub.etcdctl.value('since/1'), 'acknowledged');
  await makesNoMajority(hub, tabs, others);
});

scene('a copy of a member is refused beside its original and without it', async (stage) => {
  const { hub, browser, tabs, control, name, others } = await open(stage);
  await stop(tabs[name], control, name);
  const files = await save(control, name);
  tabs[name] = await browser.open(`/?member=${name}`);
  await tabs[name].leader();

  const second = await stage.browser(hub);
  const guest = await second.open('/');
  await putBack(await controlWorker(guest), name, files);
  const copy = await second.open(`/?member=${name}`);
  await saysWhy(copy, name, COPIED);

  // The original does not notice.
  const { workersSeen } = tabs[name];
  await tabs[name].put('k', 'by the original');
  for (const tab of Object.values(tabs)) await tab.row('k', 'by the original');
  await tabs[name].member(name, RUNS);
  assert.equal(tabs[name].workersSeen, workersSeen, 'its member went on');

  // When the original stops and the copy starts again, it did not live through the last run.
  await stop(tabs[name], control, name);
  await copy.page.reload();
  await saysWhy(copy, name, COPIED);
  await othersGoOn(hub, tabs, copy, name, others);
  tabs[name] = await browser.open(`/?member=${name}`);
  await tabs[name].member(name, RUNS);
  await tabs[name].row('k', 'without it');
});

/** Three tabs with a member each; `name` leads, which would be elected again most easily. */
async function open(stage) {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  const name = await tabs['1'].leader();
  const others = MEMBERS.filter((other) => other !== name);
  const control = await controlWorker(tabs[others[0]]);
  await hub.etcdctl.run('put', 'k', 'before');
  return { hub, browser, tabs, control, name, others };
}

/** Closes a member's tab, and waits until its files are free. */
async function stop(tab, control, name) {
  await tab.close();
  await held(control, name, { files: [], locks: [] });
}

/** Waits until the member's page says what happened, and what can be done. */
async function saysWhy(tab, name, why) {
  const { note, actions } = await tab.member(name, REFUSED);
  console.log(`# the card says: ${note}`);
  assert.match(note, why);
  assert.ok(actions.includes('Start a new cluster here'), `it offers ${actions}`);
}

/** It stays refused, the two others carry on, and nobody is told anything else. */
async function othersGoOn(hub, tabs, tab, name, others) {
  const { term } = await tab.card(others[0]);
  await sleep(3000);
  await tab.member(name, REFUSED);
  assert.equal((await tab.card(others[0])).term, term, 'no election because of it');
  await hub.etcdctl.run('put', 'k', 'without it');
  for (const other of others) {
    await tabs[other].row('k', 'without it');
    await tabs[other].member(name, REFUSED);
  }
}

/** Alone with one of the others, it does not make a majority. */
async function makesNoMajority(hub, tabs, others) {
  await tabs[others[0]].close();
  await tabs[others[1]].member(others[0], { place: /runs nowhere/ });
  const { code, err } = await hub.etcdctl.try(['put', 'k', 'alone']);
  assert.notEqual(code, 0, 'a write with one member of three');
  assert.match(err, /etcdserver|deadline/);
}
