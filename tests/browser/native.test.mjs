// The page of `kvorum server`: a console of a native cluster, which hosts no member.

import assert from 'node:assert/strict';

import { HUB_GONE, scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

/** What only a page that hosts members has. */
async function hostsNothing(tab) {
  assert.equal(tab.workersSeen, 0, 'no Worker runs');
  const held = await tab.page.evaluate(async () => {
    const { held, pending } = await navigator.locks.query();
    const files = [];
    for await (const name of (await navigator.storage.getDirectory()).keys()) files.push(name);
    return { locks: [...held, ...pending].map(({ name }) => name), files };
  });
  assert.deepEqual(held, { locks: [], files: [] });
  for (const card of Object.values(await tab.cards())) {
    assert.deepEqual(card.actions, [], `nothing can be done with member ${card.name} here`);
  }
  const offered = await tab.page.evaluate(() => document.body.textContent);
  assert.doesNotMatch(offered, /Start a new cluster|own tab|Run here/);
}

scene('the page of one server shows its member and runs none', async (stage) => {
  const [server] = await stage.servers(['default']);
  const browser = await stage.browser(server);
  const tab = await browser.open();
  await tab.says('[data-field=native]', /native cluster/);
  const place = 'on this server';
  await tab.member('default', { role: 'leader', reason: null, place });
  assert.deepEqual(Object.keys(await tab.cards()), ['default']);
  await tab.says('[data-field=cluster-id]', /^[0-9a-f]+$/);
  assert.deepEqual(await tab.page.locator('[data-notice]').allTextContents(), []);

  await tab.put('key', 'from the page');
  await tab.row('key', 'from the page');
  assert.equal(await server.etcdctl.value('key'), 'from the page');
  await server.etcdctl.run('put', 'key', 'from a shell');
  await tab.row('key', 'from a shell');
  await hostsNothing(tab);

  stage.expects(...HUB_GONE);
  await server.kill();
  await tab.noticeSays(/The server is not reachable.*Start it again/);
  await tab.member('default', { role: 'stopped', note: 'The server would know more.' });
  await server.start();
  await tab.member('default', { role: 'leader', place });
  await tab.row('key', 'from a shell');
  await hostsNothing(tab);

  for (const path of ['/?member=2', '/?cluster=lab']) {
    const other = await browser.open(path);
    await other.says('[role=alert]', /comes from a server/);
    assert.equal(other.workersSeen, 0);
  }
});

scene('the page of one of three servers shows all members', async (stage) => {
  const [a, b, c] = await stage.servers(['a', 'b', 'c']);
  const browser = await stage.browser(b);
  const tab = await browser.open();
  await tab.says('[data-field=native]', /native cluster/);
  await tab.member('b', { place: 'on this server', role: /leader|follower/ });
  const cards = await tab.cards();
  assert.deepEqual(Object.keys(cards), ['a', 'b', 'c']);
  assert.equal(cards.a.place, 'on another server');
  await tab.member('b', { links: /a up,c up|c up,a up/ });
  const first = await leader([a, b, c]);
  for (const name of ['a', 'b', 'c']) {
    await tab.member(name, { role: name === first ? 'leader' : 'follower', reason: null });
  }
  await tab.put('key', 'value');
  await tab.row('key', 'value');
  assert.equal(await c.etcdctl.value('key'), 'value');
  await hostsNothing(tab);

  // Whoever leads then, it is not the one that is gone.
  await a.kill();
  const gone = { role: 'stopped', note: 'Member b does not reach it.' };
  await tab.member('a', gone);
  const led = await leader([b, c]);
  await tab.member(led, { role: 'leader' });
  await tab.put('key', 'of two');
  await tab.row('key', 'of two');
  assert.deepEqual(await tab.page.locator('[data-notice]').allTextContents(), []);

  await c.kill();
  await tab.member('c', gone);
  await tab.noticeSays(/Members a and c are out of reach: no majority/);
  await a.start();
  await tab.member('a', { role: /leader|follower/ });
  await tab.row('key', 'of two');
  await hostsNothing(tab);
});

scene('a native cluster that has not formed says who is awaited', async (stage) => {
  const [a] = await stage.servers(['a', 'b'], { start: ['a'] });
  const tab = await (await stage.browser(a)).open();
  await tab.member('a', { role: 'stopped', reason: 'waiting', note: 'Waits for member b.' });
  await tab.member('b', { role: 'stopped', place: 'on another server' });
  await tab.noticeSays(/Waiting for member b/);
  await hostsNothing(tab);
});

/** Waits until one of these servers leads, and answers its name. */
function leader(servers) {
  return until('a leader', async () => {
    for (const { name, etcdctl } of servers) {
      const [{ Status }] = JSON.parse(await etcdctl.run('endpoint', 'status', '-w', 'json'));
      if (Status.leader === Status.header.member_id) return name;
    }
    throw new Error('nobody leads');
  });
}
