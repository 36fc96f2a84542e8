// Members that move to a tab of their own, stop, and come back.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

scene('a member moves to its own tab', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const first = await browser.open('/');
  const leader = await first.leader();
  await hub.etcdctl.run('put', 'k', 'before');

  const own = await browser.opens(() => first.press(leader, 'open in its own tab'));
  await own.member(leader, { role: 'follower', place: /in this tab/ });
  const next = await own.leader();
  assert.notEqual(next, leader, 'leadership was handed over');
  assert.equal(new URL(own.page.url()).search, `?member=${leader}`);
  const left = await first.member(leader, { role: 'follower', place: /in another tab/ });
  assert.ok(!left.actions.includes('Stop'), 'only its own page stops it');
  for (const name of MEMBERS.filter((name) => name !== leader)) {
    await own.member(name, { place: /in another tab/ });
    await first.member(name, { place: /in this tab/ });
  }
  assert.equal(await hub.etcdctl.value('k'), 'before');
  await own.put('k', 'after');
  await first.row('k', 'after');

  // When its tab closes it runs nowhere, and nobody takes it unasked.
  await own.close();
  await first.member(leader, { role: 'stopped', place: /runs nowhere/ });
  await first.press(leader, 'Run here');
  await first.member(leader, { role: 'follower', place: /in this tab/ });
  assert.equal(await first.leader(), next);
});

scene('stopped members: no majority, then one again', async (stage) => {
  const hub = await stage.hub();
  const { etcdctl } = hub;
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  const leader = await page.leader();
  await etcdctl.run('put', 'k', 'v');

  await page.press(leader, 'Stop');
  const stopped = await page.member(leader, { role: 'stopped', reason: null });
  assert.ok(stopped.actions.includes('Restart'));
  const next = await page.leader({ running: 2 });
  assert.notEqual(next, leader);
  await etcdctl.run('put', 'k', 'two of three');

  // It stays stopped: another tab that would run every free member finds it taken.
  const second = await browser.open('/');
  await second.leader({ running: 2 });
  await second.member(leader, { role: 'stopped', reason: null, place: /in another tab/ });
  assert.ok(!(await second.card(leader)).actions.includes('Run here'));
  await second.close();

  await page.press(next, 'Stop');
  await page.member(next, { role: 'stopped', reason: null });
  const [last] = MEMBERS.filter((name) => name !== leader && name !== next);
  const [low, high] = [leader, next].sort();
  await page.noticeSays(new RegExp(`Members ${low} and ${high} are not running: no majority`));

  // etcd's own errors, within etcd's own time: 5 s for a client, 7 s for the server.
  const began = performance.now();
  const write = await etcdctl.try(['put', 'k', 'one of three']);
  const read = await etcdctl.try(['get', 'k']);
  const took = performance.now() - began;
  assert.notEqual(write.code, 0);
  assert.match(write.err, /etcdserver: (no leader|request timed out)|context deadline exceeded/);
  assert.notEqual(read.code, 0);
  assert.match(read.err, /etcdserver: (no leader|request timed out)|context deadline exceeded/);
  assert.ok(took < 15_000, `both took ${Math.round(took)} ms`);
  assert.equal(await etcdctl.value('k', '--consistency=s'), 'two of three');

  // The same on the page, in words.
  await page.put('k', 'from the page');
  await page.putSays(/etcdserver: (no leader|request timed out)/);
  await page.page.getByLabel('Serializable').check();
  await page.readingSays(/^$/);
  await page.row('k', 'two of three');
  await page.page.getByLabel('Serializable').uncheck();

  await page.press(next, 'Restart');
  await page.leader({ running: 2 });
  await until('writes to succeed', async () => (await etcdctl.try(['put', 'k', 'back'])).code === 0);
  await page.row('k', 'back');
  await page.readingSays(/^$/);
  await page.press(leader, 'Restart');
  await page.leader();
  await page.says('.notices', /^$/);
  assert.equal((await page.card(last)).role !== 'stopped', true);
});

scene('two of three tabs are closed', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of MEMBERS) tabs[name] = await browser.open(`/?member=${name}`);
  await tabs['1'].leader();
  await hub.etcdctl.run('put', 'k', 'v');
  await tabs['1'].close();
  await tabs['3'].close();
  await tabs['2'].noticeSays(/Members 1 and 3 are not running: no majority/);
  const write = await hub.etcdctl.try(['put', 'k', 'w']);
  assert.notEqual(write.code, 0);
  assert.match(write.err, /etcdserver: (no leader|request timed out)|context deadline exceeded/);
  assert.equal(await hub.etcdctl.value('k', '--consistency=s'), 'v');
});
