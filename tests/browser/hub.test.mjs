// The hub comes and goes; the members are somewhere else.

import assert from 'node:assert/strict';

import { HUB_GONE, scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

scene('a hub that is killed and started again is found by its members', async (stage) => {
  stage.expects(...HUB_GONE);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const all = await browser.open('/?member=1');
  const rest = [await browser.open('/?member=2'), await browser.open('/?member=3')];
  await all.leader();
  await hub.etcdctl.run('put', 'k', 'before');
  await hub.kill();
  await all.noticeSays(/hub/i);
  await hub.start();
  await until('etcdctl to work again', async () =>
    (await hub.etcdctl.try(['put', 'k', 'after'])).code === 0);
  for (const tab of [all, ...rest]) {
    await tab.row('k', 'after');
    await tab.leader();
    await tab.says('.notices', /^$/);
  }
});

scene('with no member connected a call fails at once and says what to open', async (stage) => {
  const hub = await stage.hub();
  const began = performance.now();
  const { code, err } = await hub.etcdctl.try(['get', 'k']);
  const took = performance.now() - began;
  assert.notEqual(code, 0);
  assert.match(err, /no member of cluster .*default.* is connected: open http:\/\/127\.0\.0\.1:\d+\//);
  assert.ok(err.includes(`${hub.url}/`), `the address of the page in: ${err}`);
  // Less than etcdctl's own limit of 5 s: it was an answer.
  assert.ok(took < 4500, `it took ${Math.round(took)} ms`);
});

scene('another name of loopback leads to the one address with the data', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open(`http://localhost:${hub.port}/?member=1`);
  assert.equal(page.page.url(), `${hub.url}/?member=1`);
});
