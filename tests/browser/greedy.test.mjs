// Clients that ask for more at once than a link holds.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';

const MIB = 1024 * 1024;
const VALUES = 28;

/** Ten answers of 28 MiB: much more than LINK_QUEUE_BYTES. */
const READERS = 10;

scene('several of the largest answers at once cost no member its link', async (stage) => {
  const hub = await stage.hub({ log: 'kvorum=info' });
  const browser = await stage.browser(hub);
  const tab = await browser.open();
  await tab.leader();
  for (let n = 0; n < VALUES; n += 1) await hub.etcdctl.feed('x'.repeat(MIB), 'put', `l/${n}`);

  const flags = ['--command-timeout=20s', '-w', 'fields'];
  const read = () => hub.etcdctl.try(['get', '--prefix', 'l/', ...flags]);
  const answers = await Promise.all(Array.from({ length: READERS }, read));
  // A slow machine may not bring all of it in etcd's time.
  const whole = answers.filter(({ code }) => code === 0);
  for (const { out } of whole) assert.ok(out.length > VALUES * MIB);
  for (const { err } of answers.filter(({ code }) => code !== 0)) {
    assert.match(err, /etcdserver: request timed out|context deadline exceeded/);
  }
  console.log(`# ${whole.length} of ${READERS} readers had their answer in time`);
  assert.ok(whole.length > 0);
  assert.doesNotMatch(hub.log, /socket at the relay has ended/);
});
