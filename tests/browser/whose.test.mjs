// Whose cluster it is: two browsers at one hub, and clusters of other names.

import assert from 'node:assert/strict';

import { controlWorker, held, wipe } from './lib/control.mjs';
import { scene } from './lib/scene.mjs';
import { sleep } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

scene('a second browser is a console, and takes the name only when nobody runs it', async (stage) => {
  const hub = await stage.hub();
  const first = await stage.browser(hub);
  const owner = await first.open('/');
  await owner.leader();
  await hub.etcdctl.run('put', 'k', 'of the first');
  const old = await owner.page.textContent('[data-field=cluster-id]');

  const second = await stage.browser(hub);
  const guest = await second.open('/');
  await guest.leader();
  await guest.row('k', 'of the first');
  for (const name of MEMBERS) {
    const card = await guest.member(name, { place: /elsewhere/ });
    assert.ok(!card.actions.includes('Run here') && !card.actions.includes('Stop'));
  }
  await guest.put('k', 'by the second');
  await owner.row('k', 'by the second');
  assert.deepEqual(await lockNames(guest), [], 'no member is started in the second browser');

  // A third one only looks on, all the time.
  const third = await stage.browser(hub);
  const looker = await third.open('/');
  await looker.row('k', 'by the second');

  // The first one goes. The second says so, and does not start anything by itself.
  await first.kill();
  for (const name of MEMBERS) await guest.member(name, { role: 'stopped', reason: 'away' });
  await guest.noticeSays(/data of this cluster is not in this browser/);
  await sleep(3000);
  assert.deepEqual(await lockNames(guest), []);

  // Asked for, it starts a new cluster: after a question that can be answered with no.
  const ask = guest.page.locator('.notices').getByRole('button', { name: 'Start a new cluster here' });
  await ask.click();
  const dialog = guest.page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await guest.card('1')).reason, 'away');
  await ask.click();
  await dialog.getByRole('button', { name: 'Start a new cluster' }).click();
  await guest.leader();
  for (const name of MEMBERS) await guest.member(name, { place: /in this tab/ });
  await guest.row('k', undefined);
  assert.equal(await hub.etcdctl.value('k'), undefined);
  await hub.etcdctl.run('put', 'k', 'of the new one');
  await guest.row('k', 'of the new one');
  await looker.row('k', 'of the new one');
  await looker.leader();
  await hub.etcdctl.run('del', 'k');
  for (const tab of [guest, looker]) await tab.row('k', undefined);
  await hub.etcdctl.run('put', 'k', 'of the new one');
  assert.notEqual(await guest.page.textContent('[data-field=cluster-id]'), old);

  // The first browser comes back: its data is of a cluster that no longer has the name.
  await first.start();
  const back = await first.open('/');
  await back.row('k', 'of the new one');
  for (const name of MEMBERS) await back.member(name, { place: /elsewhere/ });
});

scene('a new cluster is refused while a member is connected from elsewhere', async (stage) => {
  const hub = await stage.hub();
  const first = await stage.browser(hub);
  const owner = await first.open('/?member=1');
  const others = [await first.open('/?member=2'), await first.open('/?member=3')];
  await owner.leader();
  await hub.etcdctl.run('put', 'k', 'v');

  // A wiped member is offered a new cluster, but the rest of the old one runs on in other tabs.
  await others[0].close();
  const control = await controlWorker(owner);
  await held(control, '2', { files: [], locks: [] });
  await wipe(control, '2');
  const wiped = await first.open('/?member=2');
  await wiped.member('2', { role: 'stopped', reason: 'refused' });
  await wiped.press('2', 'Start a new cluster here');
  const dialog = wiped.page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Start a new cluster' }).click();
  await wiped.says('dialog .error', /runs elsewhere/);
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await hub.etcdctl.value('k'), 'v');
  await owner.row('k', 'v');

  // Stopped there, they are in nobody's way: every tab has its member of the new cluster.
  await owner.press('1', 'Stop');
  await owner.member('1', { role: 'stopped', reason: null });
  await others[1].press('3', 'Stop');
  await others[1].member('3', { role: 'stopped', reason: null });
  await wiped.press('2', 'Start a new cluster here');
  await dialog.getByRole('button', { name: 'Start a new cluster' }).click();
  await wiped.leader();
  await owner.member('1', { role: /leader|follower/, place: /in this tab/ });
  await others[1].member('3', { role: /leader|follower/, place: /in this tab/ });
  assert.equal(await hub.etcdctl.value('k'), undefined);
  await hub.etcdctl.run('put', 'k', 'new');
  for (const tab of [owner, wiped, others[1]]) await tab.row('k', 'new');
});

scene('a cluster of another name sees nothing of the first', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'default’s');
  await page.row('k', 'default’s');

  const other = await browser.open('/?cluster=other');
  await other.leader();
  for (const name of MEMBERS) await other.member(name, { place: /in this tab/ });
  await other.put('only/here', 'other’s');
  await other.row('only/here', 'other’s');
  assert.deepEqual(Object.keys(await other.rows()), ['only/here']);
  assert.deepEqual(Object.keys(await page.rows()), ['k']);
  assert.equal(await hub.etcdctl.value('only/here'), undefined);

  const wrong = await browser.open('/?cluster=a%2Fb');
  await wrong.says('[role=alert]', /letters, digits/);
});

/** Locks of members that any page of the tab's browser holds. */
function lockNames(tab) {
  return tab.page.evaluate(async () => {
    const { held } = await navigator.locks.query();
    return held.map((lock) => lock.name).filter((name) => name.startsWith('kvorum/'));
  });
}
