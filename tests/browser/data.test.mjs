// A cluster's data as a whole: out to a file, in from one, away, and a name that goes back.

import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

scene('a cluster is exported at one revision and imported as a new one', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  // More than one page of keys, and values that are no text.
  const count = 2345;
  await putMany(hub, count);
  await hub.etcdctl.run('put', 'k', 'old');
  await hub.etcdctl.run('put', 'k', '\u{1}\u{fffd}ü');

  await browser.saves(stage.dir);
  await deed(page, 'export').getByRole('button', { name: 'Export' }).click();
  await page.says('[data-deed=export] [role=status]', new RegExp(`${count + 1} keys at revision`));
  const file = await until('the file to be saved', async () => {
    const name = (await readdir(stage.dir)).find((name) => /^kvorum-default-\d+\.jsonl$/.test(name));
    return name && join(stage.dir, name);
  });
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, count + 3);
  assert.equal(lines[0].cluster, 'default');
  const bytes = (text) => Buffer.from(text, 'base64').toString();
  const pairs = new Map(lines.slice(1, -1).map(({ key, value }) => [bytes(key), bytes(value)]));
  assert.equal(pairs.get('k'), '\u{1}\u{fffd}ü');
  assert.equal(pairs.get('many/00042'), 'value 42');

  // What is older than the newest revision goes, and nothing else.
  await deed(page, 'compact').getByRole('button', { name: 'Compact' }).click();
  await page.says('[data-deed=compact] [role=status]', /^Compacted at revision \d+: /);
  const { err } = await hub.etcdctl.try(['get', 'k', '--rev=2']);
  assert.match(err, /required revision has been compacted/);
  assert.equal(await hub.etcdctl.value('k'), '\u{1}\u{fffd}ü');

  // A cluster that lives is not overwritten: the page asks for the name of a new one.
  const row = deed(page, 'import');
  await row.getByLabel('Name of the new cluster').fill('a/b');
  await row.getByRole('button', { name: 'Open it' }).click();
  await page.says('#import-name-error', /letters, digits/);
  await row.getByLabel('Name of the new cluster').fill('copy');
  const copy = await browser.opens(() => row.getByRole('button', { name: 'Open it' }).click());
  await copy.page.waitForURL(/\?cluster=copy$/);
  await copy.leader();

  // A file that is damaged puts nothing.
  const damaged = join(stage.dir, 'damaged.jsonl');
  const text = await readFile(file, 'utf8');
  await writeFile(damaged, text.replace('"version":"1"', '"version":"9"'));
  await choose(copy, damaged);
  await copy.says('[data-deed=import] [role=alert]', /is damaged/);
  await writeFile(damaged, text.slice(0, -100));
  await choose(copy, damaged);
  await copy.says('[data-deed=import] [role=alert]', /cut off|damaged/);
  assert.equal(await copy.page.textContent('[data-field=cluster-revision]'), '1');

  await choose(copy, file);
  await copy.says('[data-deed=import] [role=status]', new RegExp(`${count + 1} keys imported`));
  await copy.page.getByLabel('Prefix').fill('many/00042');
  await copy.row('many/00042', 'value 42');
  assert.equal(await hub.etcdctl.value('many/00042'), 'value 42', 'the first one lives on');

  // It is not new any more.
  await choose(copy, file);
  await copy.says('[data-deed=import] [role=alert]', /not new: it is at revision/);
});

scene('a wiped cluster is gone, and nothing starts by itself', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');
  await page.row('k', 'v');
  await deed(page, 'wipe').getByRole('button', { name: 'Wipe' }).click();
  const dialog = page.page.getByRole('dialog');
  await page.says('dialog [data-field=consequences]', /has 1 key\..*cannot be brought back/);
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.leader();
  await deed(page, 'wipe').getByRole('button', { name: 'Wipe' }).click();
  await dialog.getByRole('button', { name: 'Wipe it' }).click();
  for (const name of MEMBERS) await page.member(name, { role: 'stopped', place: /runs nowhere/ });
  const left = await page.page.evaluate(async () => {
    const top = await (await navigator.storage.getDirectory()).getDirectoryHandle('kvorum');
    const names = [];
    for await (const name of top.keys()) names.push(name);
    return names;
  });
  assert.deepEqual(left, []);
  await sleep(2500);
  for (const name of MEMBERS) await page.member(name, { role: 'stopped', place: /runs nowhere/ });
  for (const name of MEMBERS) await page.press(name, 'Run here');
  await page.leader();
  assert.equal(await hub.etcdctl.value('k'), undefined);
});

scene('a name that another browser took goes back', async (stage) => {
  const hub = await stage.hub();
  const first = await stage.browser(hub);
  const owner = await first.open('/');
  await owner.leader();
  await hub.etcdctl.run('put', 'k', 'of the first');
  const id = await owner.page.textContent('[data-field=cluster-id]');
  await first.kill();

  const second = await stage.browser(hub);
  const guest = await second.open('/');
  await guest.noticeSays(/data of this cluster is not in this browser/);
  await guest.page.locator('.notices').getByRole('button', { name: 'Start a new cluster here' }).click();
  await guest.page.getByRole('dialog').getByRole('button', { name: 'Start a new cluster' }).click();
  await guest.leader();

  // While the new one runs, the name is not given back.
  await first.start();
  const back = await first.open('/');
  await back.leader();
  await second.kill();
  await back.noticeSays(/The name went to another cluster/);
  await back.page.locator('.notices').getByRole('button', { name: 'Take the name back' }).click();
  await back.page.getByRole('dialog').getByRole('button', { name: 'Take the name back' }).click();
  await back.leader();
  await back.row('k', 'of the first');
  assert.equal(await back.page.textContent('[data-field=cluster-id]'), id);
  assert.equal(await hub.etcdctl.value('k'), 'of the first');
});

function deed(tab, name) {
  return tab.page.locator(`[data-deed=${name}]`);
}

async function choose(tab, file) {
  await tab.page.setInputFiles('[data-deed=import] input[type=file]', file);
}

/** Puts `many/00000` and so on, a hundred in each transaction. */
async function putMany(hub, count) {
  for (let from = 0; from < count; from += 100) {
    const puts = [];
    for (let n = from; n < Math.min(count, from + 100); n += 1) {
      puts.push(`put many/${String(n).padStart(5, '0')} "value ${n}"`);
    }
    // No guards, these operations, no others.
    await hub.etcdctl.feed(`\n${puts.join('\n')}\n\n\n`, 'txn');
  }
}
