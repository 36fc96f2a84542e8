// A Worker beside the members' that is never told to start one: the page's policy allows no other
// script. What it is asked to look at it looks at from a member's own place.

import assert from 'node:assert/strict';

import { until } from './until.mjs';

export async function controlWorker(tab) {
  await tab.page.evaluate(() => {
    window.idle = new Worker('/browser.js', { type: 'module', name: 'control' });
  });
  const control = await tab.worker('control');
  await control.evaluate(() => {
    self.directory = async (...path) => {
      let directory = await navigator.storage.getDirectory();
      for (const name of ['kvorum', 'default', ...path]) {
        directory = await directory.getDirectoryHandle(name, { create: true });
      }
      return directory;
    };
  });
  return control;
}

/** What is held of a member in this browser: the names of its files that are open, and of locks. */
export async function holdings(control, member) {
  return control.evaluate(async (member) => {
    const held = { files: [], locks: [] };
    for await (const [name, file] of (await self.directory(member)).entries()) {
      try {
        // Two cannot be open at a time.
        (await file.createSyncAccessHandle()).close();
      } catch (error) {
        if (error.name !== 'NoModificationAllowedError') throw error;
        held.files.push(name);
      }
    }
    const locks = await navigator.locks.query();
    const all = [...locks.held, ...locks.pending].map(({ name }) => name);
    held.locks = all.filter((name) => name.endsWith(`/default/${member}`)).sort();
    return held;
  }, member);
}

/** Waits until exactly this is held of a member, and answers all that is. */
export function held(control, name, wanted) {
  return until(`what is held of member ${name} to be ${JSON.stringify(wanted)}`, async () => {
    const now = await holdings(control, name);
    for (const [what, names] of Object.entries(wanted)) assert.deepEqual(now[what], names);
    return now;
  });
}

/** The locks of a member that runs. */
export function locksOf(name) {
  return [`kvorum-at-work/default/${name}`, `kvorum/default/${name}`];
}

/** The files of a member that runs nowhere: name to bytes, in base64. */
export function save(control, member) {
  return control.evaluate(async (member) => {
    const files = {};
    for await (const [name, file] of (await self.directory(member)).entries()) {
      const url = new FileReaderSync().readAsDataURL(await file.getFile());
      files[name] = url.slice(url.indexOf(',') + 1);
    }
    return files;
  }, member);
}

/** Makes these a member's files, and no others. */
export async function putBack(control, member, files) {
  await wipe(control, member);
  await control.evaluate(async ({ member, files }) => {
    const directory = await self.directory(member);
    for (const [name, base64] of Object.entries(files)) {
      const file = await directory.getFileHandle(name, { create: true });
      const handle = await file.createSyncAccessHandle();
      handle.write(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)), { at: 0 });
      handle.close();
    }
  }, { member, files });
}

/** Removes the directory of a member that runs nowhere. */
export function wipe(control, member) {
  return control.evaluate(async (member) => {
    await self.directory(member);
    await (await self.directory()).removeEntry(member, { recursive: true });
  }, member);
}

/** Has it count its runs, meant for every 50 ms, and keep how far apart they were. */
export function keepTime(control) {
  return control.evaluate(() => {
    let last = performance.now();
    self.runs = 0;
    self.gaps = [];
    setInterval(() => {
      const now = performance.now();
      self.gaps = [...self.gaps.slice(-200), { at: now, gap: now - last }];
      self.runs += 1;
      last = now;
    }, 50);
  });
}

/** The gaps of the last seconds, in milliseconds. */
export function gaps(control, agoMs = 10_000) {
  return control.evaluate((ago) => {
    const now = performance.now();
    return self.gaps.filter(({ at }) => now - at < ago).map(({ gap }) => gap);
  }, agoMs);
}
