// Members in Node: the wasm module of the tabs on real files, without a browser.

import assert from 'node:assert/strict';
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { Promises } from '../browser/lib/promises.mjs';
import { Puts } from '../browser/lib/puts.mjs';
import { scene } from '../browser/lib/scene.mjs';
import { sleep, until } from '../browser/lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const ROUNDS = 5;
const ENOUGH_PUTS = 100;
const PAGE_BYTES = 4096;

scene('members in Node that are killed under load lose nothing', async (stage) => {
  const hub = await stage.hub();
  const members = stage.nodes(hub, MEMBERS);
  await each(members, (member) => member.serves());
  const promised = new Promises();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const puts = stage.ends(new Puts(hub.url, `r${round}/`));
    await until('puts to be acknowledged', () => puts.acknowledged.size >= ENOUGH_PUTS);
    await sleep(Math.random() * 1000);
    await each(members, (member) => member.kill());
    await puts.end();
    promised.of(puts);
    for (const member of members) member.start();
    const reports = await each(members, (member) => member.serves());
    assert.deepEqual(reports.map(({ boot }) => boot.counter), MEMBERS.map(() => `${round + 1}`));
    assert.deepEqual(await promised.broken(hub.etcdctl), [], `round ${round}`);
    console.log(`# round ${round}: ${puts.acknowledged.size} acknowledged, all there`);
  }
  const out = await hub.etcdctl.run('get', '--prefix', 'r1/', '--limit=1', '-w', 'json');
  assert.equal(JSON.parse(out).kvs.length, 1);
});

scene('one member in Node is killed, and the others go on', async (stage) => {
  const hub = await stage.hub();
  const members = stage.nodes(hub, MEMBERS);
  await hubServes(hub, members);
  await hub.etcdctl.run('put', 'k', 'with all');
  const { leader } = await members[0].serves();
  const victim = members.find(({ name }) => name === leader);
  const others = members.filter((member) => member !== victim);
  await victim.kill();
  await until('another leader', () =>
    others.every((member) => ![null, leader].includes(member.last('report').report.leader)));
  assert.equal(await hub.etcdctl.value('k'), 'with all');
  await hub.etcdctl.run('put', 'k', 'without one');

  victim.start();
  const { revision } = await until('it to have what it missed', () => {
    const reports = members.map((member) => member.last('report')?.report);
    const same = reports.every((report) => report?.revision === reports[0].revision);
    return same && reports[0];
  });
  assert.equal(revision, '3');
  assert.equal(await hub.etcdctl.value('k'), 'without one');
});

scene('a member in Node says that the end of its log was torn', async (stage) => {
  const hub = await stage.hub();
  const members = stage.nodes(hub, MEMBERS);
  await hubServes(hub, members);
  await hub.etcdctl.run('put', 'k', 'v');
  const [first] = members;
  await first.kill();
  await tear(join(first.dir, 'log-00000001'));
  first.start();
  await first.serves();
  const words = /^the end of the log was not complete: cut \d+ bytes .* at byte \d+: /;
  assert.match(first.last('torn')?.words ?? 'nothing', words);
  assert.equal(await hub.etcdctl.value('k'), 'v');

  // It is cut off, so it is told once.
  await first.kill();
  first.start();
  await first.serves();
  assert.equal(first.last('torn'), undefined);
});

scene('a directory in Node has one owner, and a member leaves in order', async (stage) => {
  const hub = await stage.hub();
  const members = stage.nodes(hub, MEMBERS);
  await hubServes(hub, members);
  await hub.etcdctl.run('put', 'k', 'v');
  const [first] = members;

  const [second] = stage.nodes(hub, ['1']);
  await until('the second to be turned away', () => second.child.exitCode === 1);
  assert.match(second.log, /cannot use the data directory: .* is in use by process \d+/);
  await first.serves();

  assert.equal(await first.stop(), 0);
  assert.ok(first.last('left'), 'it has left in order');
  const names = await readdir(first.dir);
  assert.ok(names.includes('log-00000001'), `${names}`);
  assert.deepEqual(names.filter((name) => name.startsWith('lock')), [], 'nobody has it');
  first.start();
  await first.serves();
  assert.equal(await hub.etcdctl.value('k'), 'v');
  stage.members = members;
});

/** As a crash may leave a batch of two pages: only the second one is on the disk. */
async function tear(log) {
  const last = (await readFile(log)).findLastIndex((byte) => byte !== 0);
  const file = await open(log, 'r+');
  await file.write(Buffer.alloc(100, 7), 0, 100, last + PAGE_BYTES);
  await file.close();
}

function each(members, act) {
  return Promise.all(members.map(act));
}

/** All members are there, and the hub knows. */
async function hubServes(hub, members) {
  await each(members, (member) => member.serves());
  await until('the hub to serve', async () => (await hub.etcdctl.try(['get', 'k'])).code === 0);
}
