// A browser that gives a member no more room: writes are refused with etcd's own words while all
// else goes on, and space that is given back brings the member back.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MIB = 1024 * 1024;
const MEMBERS = ['1', '2', '3'];
const FULL = /etcdserver: mvcc: database space exceeded/;

/** What one member's browser gives, and more puts than can find room in it. */
const QUOTA = 300 * MIB;
const PUTS = (2 * QUOTA) / MIB;

scene('a full quota refuses writes, and is left by deleting and compacting', async (stage) => {
  const hub = await stage.hub();
  const { etcdctl } = hub;
  // Each has a browser of its own, and so a quota of its own; one of them is small.
  const tabs = {};
  for (const name of MEMBERS) {
    tabs[name] = await (await stage.browser(hub)).open(`/?member=${name}`);
  }
  const tab = tabs['1'];
  await tab.leader();
  const cdp = await tab.page.context().newCDPSession(tab.page);
  const origin = hub.url;
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: QUOTA });
  const used = async () => {
    const { usage, quota, overrideActive } =
      await cdp.send('Storage.getUsageAndQuota', { origin });
    assert.ok(overrideActive && quota === QUOTA, 'the quota holds');
    return usage / MIB;
  };

  const kept = [];
  let refused = null;
  while (!refused && kept.length < PUTS) {
    const key = `large/${String(kept.length).padStart(4, '0')}`;
    const { code, err } = await etcdctl.try(['put', key], 'x'.repeat(MIB));
    if (code === 0) kept.push(key);
    else refused = err;
  }
  const full = await used();
  console.log(`# ${kept.length} MiB were put until ${Math.round(full)} MiB were used`);
  assert.match(refused ?? 'all found room', FULL);
  assert.match(await etcdctl.run('alarm', 'list'), /alarm:NOSPACE/);
  await put(etcdctl, 'small', { refused: true });
  await tab.put('small', 'x');
  await tab.putSays(FULL);
  for (const name of MEMBERS) {
    await tabs[name].noticeSays(/NOSPACE: database space exceeded.* reads go on.* disarm/);
  }

  // All that was acknowledged is read, and raft goes on.
  assert.equal(await etcdctl.value(kept[0]), 'x'.repeat(MIB));
  const keys = await etcdctl.run('get', '--prefix', 'large/', '--keys-only');
  assert.deepEqual(keys.split('\n').filter(Boolean), kept);
  for (const name of MEMBERS) await tab.member(name, { role: /leader|follower/ });

  // Space is given back, by what the page offers.
  assert.equal(await etcdctl.run('del', '--prefix', 'large/'), `${kept.length}\n`);
  const notice = tab.page.locator('[data-notice=no-space]');
  await notice.getByRole('button', { name: 'Compact' }).press('Enter');
  await tab.noticeSays(/Compacted at revision \d+/);
  await until('the store to be written anew', async () => {
    const now = await used();
    if (now > full / 2) throw new Error(`${now} MiB are used`);
    return true;
  });
  await until('the alarm to stay away', async () => {
    if (await notice.count()) await notice.getByRole('button', { name: 'Disarm' }).press('Enter');
    await put(etcdctl, 'small');
    return (await etcdctl.run('alarm', 'list')) === '';
  });
  for (const name of MEMBERS) await tabs[name].noticeSays(/^$/);
  for (let n = 0; n < 10; n += 1) {
    const { code, err } = await etcdctl.try(['put', `again/${n}`], 'x'.repeat(MIB));
    assert.equal(code, 0, err);
  }
  await tab.leader();
  console.log(`# ${Math.round(await used())} MiB are used after these were deleted`);
});

async function put(etcdctl, key, { refused = false } = {}) {
  const { code, err } = await etcdctl.try(['put', key, 'x']);
  if (refused) assert.match(err, FULL);
  else assert.equal(code, 0, err);
}
