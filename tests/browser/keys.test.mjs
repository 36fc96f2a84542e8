// The keys on show: always those that are there, always called what they are.

import assert from 'node:assert/strict';

import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const PAGE_KEYS = 200;

/** Operations of one transaction; etcd takes 128. */
const AT_ONCE = 100;

scene('the table is filled again while keys are deleted', async (stage) => {
  const { tab, etcdctl } = await formed(stage);
  const names = (from, to) => Array.from({ length: to - from }, (_, n) =>
    `key/${String(from + n).padStart(4, '0')}`);
  const shows = (first, last) => until(`the rows to be ${first} to ${last}`, async () => {
    const keys = Object.keys(await tab.rows());
    return keys[0] === first && keys.at(-1) === last && keys.length;
  });

  await putAll(etcdctl, names(0, 250));
  await tab.count('200 of 250 keys');
  assert.equal(await shows('key/0000', 'key/0199'), PAGE_KEYS);
  await etcdctl.run('del', 'key/0000', 'key/0040');
  await tab.count('200 of 210 keys');
  assert.equal(await shows('key/0040', 'key/0239'), PAGE_KEYS);

  // All that is shown goes, and nothing was asked for.
  await etcdctl.run('del', 'key/0000', 'key/0247');
  await tab.count('3 keys');
  assert.equal(await shows('key/0247', 'key/0249'), 3);
  await tab.put('key/0000', 'again');
  await tab.row('key/0000', 'again');

  // More than there is room for, and then less, in many revisions.
  await putAll(etcdctl, names(1000, 3000));
  await tab.count('200 of 2004 keys');
  const deletions = [];
  for (let n = 1000; n < 2990; n += 199) {
    deletions.push(etcdctl.run('del', `key/${n}`, `key/${Math.min(n + 199, 2990)}`));
  }
  await Promise.all(deletions);
  await tab.count('14 keys');
  assert.equal(await shows('key/0000', 'key/2999'), 14);

  // More are shown when they are asked for, and no button is left when there are no more.
  await putAll(etcdctl, names(4000, 4300));
  await tab.count('200 of 314 keys');
  await tab.page.getByRole('button', { name: 'Show more' }).click();
  await tab.count('314 keys');
  assert.equal(await tab.page.getByRole('button', { name: 'Show more' }).count(), 0);
});

scene('values that no link carries all at once are read in parts', async (stage) => {
  const { hub, etcdctl } = await formed(stage);
  const value = 'x'.repeat(1024 * 1024);
  for (let n = 10; n < 44; n += 1) await etcdctl.feed(value, 'put', `large/${n}`);
  // In another browser, so that all of it comes through the hub.
  const guest = await (await stage.browser(hub)).open('/');
  await guest.count('34 keys');
  await guest.readingSays(/^$/);
});

scene('the rows are always called what they are', async (stage) => {
  const { tab, etcdctl } = await formed(stage);
  for (const value of ['one', 'two', 'three']) await etcdctl.run('put', 'k', value);
  await tab.row('k', 'three');
  await tab.caption(/^All keys, live since revision \d+\. Answered by member [123]/);

  const at = tab.page.getByLabel('Read at revision');
  const deletes = tab.page.getByRole('button', { name: 'Delete' });
  await at.fill('2');
  await tab.caption(/^All keys as they were at revision 2\. They do not change\./);
  await tab.row('k', 'one');
  assert.equal(await deletes.count(), 0);
  for (const [wrong, words] of [
    ['99999', /required revision is a future revision/],
    ['2', /^$/],
    ['abc', /“abc” is no revision/],
    ['-5', /“-5” is no revision/],
    ['0', /“0” is no revision/],
  ]) {
    await at.fill(wrong);
    await tab.readingSays(words);
    if (wrong === '2') continue;
    assert.deepEqual([await tab.rows(), await deletes.count()], [{}, 0], wrong);
    await tab.caption(/^$/);
  }
  await at.fill('2');
  await tab.page.getByRole('button', { name: 'Back to now' }).click();
  assert.equal(await tab.page.evaluate(() => document.activeElement.id), 'revision');
  await tab.caption(/^All keys, live/);
});

scene('without a majority the page says what waits and for what', async (stage) => {
  const { tab, etcdctl } = await formed(stage);
  await etcdctl.run('put', 'a', '1');
  await tab.row('a', '1');
  for (const name of ['2', '3']) {
    await tab.press(name, 'Stop');
    await tab.member(name, { role: 'stopped', reason: null });
  }
  await tab.caption(/^All keys as of revision \d+\. There is no leader/);

  // Rows of the prefix before say so while another one is waited for, and are gone after that.
  await tab.page.getByLabel('Prefix').fill('pro');
  const waits = /^Read keys that start with “pro”: waiting for a majority \(members 2 and 3 do not/;
  await tab.says('.above .waits', waits);
  await tab.caption(/^All keys as of/);
  await tab.put('lonely', 'v');
  await tab.says('.entry .waits', /^Put “lonely”: waiting for a majority .* \d s so far\./);
  await tab.says('[data-field=put-answer]', /^$/);
  await tab.readingSays(/request timed out|no leader/);
  assert.deepEqual(await tab.rows(), {});
  await tab.caption(/^$/);
  await tab.putSays(/^Put “lonely”: etcdserver: request timed out.*may have been done/);

  // One member's own copy needs nobody else, and says whose it is.
  await tab.page.getByLabel('Prefix').fill('');
  await tab.page.getByLabel('Serializable').check();
  await tab.row('a', '1');
  await tab.caption(/^All keys in member 1’s own copy as of revision/);
  await tab.page.getByLabel('Serializable').uncheck();

  // What was wrong is not wrong any more when the cluster is well.
  await tab.put('late', 'v');
  await tab.press('2', 'Restart');
  await tab.leader({ running: 2 });
  await tab.caption(/^All keys, live/);
  await tab.says('.entry .fate', /^(Enter puts|Put “late”: answered)/);
  await tab.readingSays(/^$/);
});

scene('bytes come back as they were', async (stage) => {
  const { tab, etcdctl } = await formed(stage);
  const held = async (key) => {
    const { kvs } = JSON.parse(await etcdctl.run('get', key, '-w', 'json'));
    return [Buffer.from(kvs[0].value, 'base64').toString('latin1'), kvs[0].version];
  };
  const edit = (name) => tab.rowOf(name).getByTitle('Edit').click();
  const put = () => tab.page.getByRole('button', { name: 'Put', exact: true }).click();
  const escapes = tab.page.getByLabel('Escapes');

  const binary = Buffer.from([0, 0xff, 0xfe, 1, 0x5c, 0x0d, 0x0a]);
  await etcdctl.feed(binary, 'put', 'bin');
  await tab.row('bin', String.raw`\x00\xff\xfe\x01\\\r\n escapes`);
  await edit('bin');
  assert.ok(await escapes.isChecked());
  await put();
  await until('the put', async () => (await held('bin'))[1] === 2);
  assert.equal((await held('bin'))[0], binary.toString('latin1'));
  await escapes.click();
  await tab.putSays(/no text/);
  assert.ok(await escapes.isChecked());

  // By etcdctl no such key can be typed; by the form it can.
  await tab.put(String.raw`k\xff\xfe`, String.raw`\x07`);
  await tab.row(String.raw`k\xff\xfe`, String.raw`\x07 escapes`);
  await tab.put('k\\xf', 'v');
  await tab.putSays(/no escape/);
  assert.equal(await tab.page.evaluate(() => document.activeElement.id), 'key');

  // Text is text, also with backslashes in it.
  const json = String.raw`{"path": "C:\\x", "line": "\n"}`;
  await etcdctl.run('put', 'json', json);
  await etcdctl.run('put', ' ', 'a key of one space');
  await etcdctl.run('put', 'two\nlines', '');
  await tab.row('json', json);
  await edit('json');
  assert.ok(!await escapes.isChecked());
  await put();
  await until('the put', async () => (await held('json'))[1] === 2);
  assert.equal((await held('json'))[0], json);
  await escapes.check();
  await put();
  await until('the put', async () => (await held('json'))[1] === 3);
  assert.equal((await held('json'))[0], json);
  await edit(String.raw`two\nlines`);
  await tab.page.getByLabel('Value', { exact: true }).fill('not empty');
  await put();
  await until('the put', async () => (await held('two\nlines'))[0] === 'not empty');
  assert.equal(await tab.rowOf(' ').locator('.blank').count(), 1);

  // A long value is seen whole when that is asked for.
  const long = 'many words '.repeat(200);
  await etcdctl.run('put', 'long', long);
  const whole = tab.rowOf('long').getByRole('button', { name: 'Show all 2.1 KiB' });
  await whole.click();
  assert.equal(await tab.rowOf('long').locator('.whole').textContent(), long);
});

scene('a deletion can be taken back', async (stage) => {
  const { tab, etcdctl } = await formed(stage);
  for (const key of ['a', 'b', 'c']) await etcdctl.run('put', key, `value of ${key}`);
  for (const key of ['a', 'b', 'c']) {
    await tab.row(key, `value of ${key}`);
    await tab.delete(key);
    await tab.row(key, undefined);
  }
  const undo = tab.page.locator('#undo');
  await tab.says('[data-field=deleted]', /^Deleted “c”: answered by member [123]/);
  await undo.click();
  await tab.row('c', 'value of c');
  await tab.says('[data-field=deleted]', /^Put back “c”.*Undo deleting “b”/);

  // What was put since stays.
  await etcdctl.run('put', 'b', 'newer');
  await tab.row('b', 'newer');
  await undo.click();
  await tab.says('[data-field=deleted]', /^“b” was put again since, and stays/);
  assert.equal(await etcdctl.value('b'), 'newer');
  await undo.click();
  await tab.row('a', 'value of a');
  assert.equal(await undo.count(), 0);
  await tab.page.getByRole('button', { name: 'Dismiss' }).click();
  await tab.says('[data-field=deleted]', /^$/);
});

async function formed(stage) {
  const hub = await stage.hub();
  const tab = await (await stage.browser(hub)).open('/');
  await tab.leader();
  return { hub, tab, etcdctl: hub.etcdctl };
}

/** Puts many keys, some in each transaction. */
async function putAll(etcdctl, keys) {
  for (let n = 0; n < keys.length; n += AT_ONCE) {
    const puts = keys.slice(n, n + AT_ONCE).map((key) => `put ${key} v\n`).join('');
    await etcdctl.feed(`\n${puts}\n\n`, 'txn');
  }
}
