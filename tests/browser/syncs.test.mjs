// How often members in tabs sync: what was acknowledged is on the disk of a majority.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { join } from 'node:path';

import { put } from './lib/puts.mjs';
import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
const MAJORITY = 2;
const PUTS = 60;

scene('every acknowledged put was synced on a majority before', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await inWorkers(page, () => {
    const { prototype } = FileSystemSyncAccessHandle;
    const flush = prototype.flush;
    self.flushes = 0;
    prototype.flush = function count() {
      self.flushes += 1;
      return flush.call(this);
    };
  });
  const system = stage.ends(await watchSyncs(browser, join(stage.dir, 'syncs')));

  // One after the other: each is a batch of its own.
  const before = await flushes(page);
  const session = connect(hub.url);
  for (let n = 0; n < PUTS; n += 1) {
    assert.deepEqual(await put(session, `k${n}`, 'v'), { status: 0, words: '' });
  }
  session.close();
  const asked = sum(await flushes(page)) - sum(before);
  const seen = await system.end();
  console.log(`# ${PUTS} puts acknowledged; ${asked} flushes asked for; the system saw ${
    seen ?? 'no one knows how many'} syncs of their files`);
  assert.ok(asked >= MAJORITY * PUTS, `${asked} flushes`);
  if (seen !== null) assert.ok(seen >= asked, `${seen} syncs`);
});

function inWorkers(page, work) {
  return Promise.all(MEMBERS.map(async (name) => (await page.worker(name)).evaluate(work)));
}

function flushes(page) {
  return inWorkers(page, () => self.flushes);
}

function sum(numbers) {
  return numbers.reduce((all, number) => all + number, 0);
}

/** Counts the syncs of files of OPFS by strace, until `end()`; `null` where there is none. */
async function watchSyncs(browser, file) {
  const processes = await browser.processes();
  const args = ['-f', '-y', '-e', 'trace=fsync,fdatasync', '-o', file];
  for (const { id } of processes) args.push('-p', String(id));
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const none = { end: async () => null };
  try {
    await once(child, 'spawn');
  } catch {
    console.log('# SKIPPED: there is no strace here: only what the members asked for is counted');
    return none;
  }
  let said = '';
  child.stderr.on('data', (data) => (said += data));
  await until('strace to be attached', () => {
    assert.equal(child.exitCode, null, `strace: ${said}`);
    return processes.every(({ id }) => said.includes(`Process ${id} attached`));
  });
  let count = null;
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
      const lines = (await readFile(file, 'utf8')).split('\n');
      // A call that another thread interrupts has two lines.
      const begun = (line) => /f(data)?sync\(.*File System/.test(line);
      count = lines.filter(begun).length;
    }
    return count;
  };
  return { end };
}
