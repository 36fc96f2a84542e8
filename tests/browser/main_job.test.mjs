// The main job: a cluster in one page, driven from the page and by the real etcdctl.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

scene('a page and etcdctl see the same keys', async (stage) => {
  const hub = await stage.hub();
  const { etcdctl } = hub;
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await page.page.evaluate(() => (window.notReloaded = true));

  // From the page to the shell.
  await page.put('from/page', 'one');
  await page.row('from/page', 'one');
  assert.equal(await etcdctl.value('from/page'), 'one');

  // From the shell to the page.
  assert.equal(await etcdctl.run('put', 'key1', 'value1'), 'OK\n');
  await page.row('key1', 'value1');
  await etcdctl.run('put', 'key1', 'value2');
  await page.row('key1', 'value2');
  assert.equal((await page.rows()).key1.version, '2');

  // A watch in the shell hears of both.
  const watch = stage.ends(etcdctl.start('watch', 'key', '--prefix'));
  await heard(watch, etcdctl);
  await page.put('key2', 'seen');
  await until('the watch to hear of key2', () => watch.lines.join(' ').includes('PUT key2 seen'));

  // A transaction, taken and not taken.
  const txn = 'value("key1") = "value2"\n\nput key1 swapped\n\nput key1 wrong\n\n';
  assert.match(await etcdctl.feed(txn, 'txn'), /^SUCCESS/);
  await page.row('key1', 'swapped');
  assert.match(await etcdctl.feed(txn, 'txn'), /^FAILURE/);
  await page.row('key1', 'wrong');

  // Deleted on either side.
  await page.delete('key1');
  await page.row('key1', undefined);
  assert.equal(await etcdctl.value('key1'), undefined);
  await until('the watch to hear of the end', () => watch.lines.join(' ').includes('DELETE key1'));
  assert.equal(await etcdctl.run('del', 'from/page'), '1\n');
  await page.row('from/page', undefined);

  // Only keys with the prefix, and what else there is comes back without it.
  await etcdctl.run('put', 'other', 'x');
  await page.row('other', 'x');
  await page.page.getByLabel('Prefix').fill('key');
  await page.row('other', undefined);
  await page.row('key2', 'seen');
  await page.page.getByLabel('Prefix').fill('');
  await page.row('other', 'x');

  assert.equal(await page.page.evaluate(() => window.notReloaded), true);
});

scene('a page reads the past, and says in words what is wrong', async (stage) => {
  const hub = await stage.hub();
  const { etcdctl } = hub;
  const page = await (await stage.browser(hub)).open('/');
  await page.leader();

  await etcdctl.run('put', 'k', 'first');
  const { header } = JSON.parse(await etcdctl.run('get', 'k', '-w', 'json'));
  await etcdctl.run('put', 'k', 'second');
  await page.row('k', 'second');

  const at = page.page.getByLabel('Read at revision');
  await at.fill(String(header.revision));
  await page.row('k', 'first');
  await etcdctl.run('put', 'k', 'third');
  assert.equal((await page.rows()).k.value, 'first', 'the past does not change');
  await page.page.getByRole('button', { name: 'Back to now' }).click();
  await page.row('k', 'third');

  await at.fill('1000000');
  await page.readingSays(/etcdserver: mvcc: required revision is a future revision/);
  await at.fill('');
  await page.readingSays(/^$/);
  await page.row('k', 'third');

  await page.put('', 'no key');
  await page.putSays(/A key has at least one character/);
  await page.put('k', 'x'.repeat(1.6 * 1024 * 1024));
  await page.putSays(/etcdserver: request is too large/);
  await page.put('k', 'fourth');
  await page.putSays(/^$/);
  await page.row('k', 'fourth');
  const answered = /^Put “k”: answered by member [123] at revision \d+ in [\d.]+ m?s\.$/;
  await page.says('[data-field=put-answer]', answered);
  await page.says('[data-field=answered]', /^Answered by member [123] in [\d.]+ m?s\.$/);

  const refused = await etcdctl.try(['get', 'k', '--rev=1000000']);
  assert.notEqual(refused.code, 0);
  assert.match(refused.err, /etcdserver: mvcc: required revision is a future revision/);
});

scene('etcdctl sees the members', async (stage) => {
  const hub = await stage.hub();
  const page = await (await stage.browser(hub)).open('/');
  const leader = await page.leader();
  const list = JSON.parse(await hub.etcdctl.run('member', 'list', '-w', 'json'));
  assert.deepEqual(list.members.map((member) => member.name).sort(), ['1', '2', '3']);
  const [status] = JSON.parse(await hub.etcdctl.run('endpoint', 'status', '-w', 'json'));
  const { term } = await page.card(leader);
  assert.equal(String(status.Status.raftTerm), term);
  for (const name of ['1', '2', '3']) {
    const others = ['1', '2', '3'].filter((other) => other !== name);
    await until(`the links of ${name} to be up`, async () => {
      const { links } = await page.card(name);
      return links.sort().join() === others.map((other) => `${other} up`).join();
    });
  }
});

// A watch without a revision begins when the server has it: write until it has heard something.
async function heard(watch, etcdctl) {
  await until('the watch to begin', async () => {
    await etcdctl.run('put', 'key0', 'begin');
    return watch.lines.length > 0;
  });
}
