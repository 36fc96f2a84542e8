// A browser that is killed under load, again and again, with the same profile: no acknowledged
// put is lost. What was written and not flushed is lost each time: see lib/held_back.js.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { Promises } from './lib/promises.mjs';
import { Puts } from './lib/puts.mjs';
import { scene } from './lib/scene.mjs';
import { sleep, until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];
/** A long form of this test asks for more. */
const ROUNDS = Number(process.env.KVORUM_ROUNDS ?? 5);
const ROUND_ENDS_AFTER_MS = 60_000;

/** Of load in a round, at the least and at the most. */
const LOAD_MS = [300, 2500];
const ENOUGH_PUTS = 30;

scene(`killed ${ROUNDS} times under load, a browser loses nothing`, async (stage) => {
  const { hub, browser } = await open(stage);
  const promised = new Promises();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const puts = await load(stage, hub, browser, `r${round}/`);
    const lost = await afterKill(hub, browser, puts, promised);
    assert.deepEqual(lost, [], `round ${round}: acknowledged, and not there`);
    console.log(`# round ${round}: ${puts.acknowledged.size} acknowledged, all there`);
  }
  console.log(`# ${ROUNDS} rounds, ${promised.all.size} acknowledged puts, none lost`);
}, { timeout: 60_000 + ROUNDS * ROUND_ENDS_AFTER_MS });

scene('a flush that does nothing is noticed by the same rounds', async (stage) => {
  const { hub, browser } = await open(stage);
  const promised = new Promises();
  const honest = await load(stage, hub, browser, 'honest/');
  assert.deepEqual(await afterKill(hub, browser, honest, promised), []);
  const flushes = await inWorkers(browser, () => {
    self.flushDoesNothing = true;
    return self.flushes;
  });
  assert.ok(flushes.every((count) => count > 0), `flushes so far: ${flushes}`);
  const lied = await load(stage, hub, browser, 'lied/');
  const lost = await afterKill(hub, browser, lied, promised);
  const { size } = lied.acknowledged;
  console.log(`# ${lost.length} of ${size} puts that a lie acknowledged are lost`);
  assert.ok(lost.length > 0, 'the lie was not noticed');
  assert.ok(lost.every((key) => key.startsWith('lied/')), `of the honest time: ${lost}`);
}, { timeout: 180_000 });

/** One browser that runs all members in one page, on files that hold back what is not flushed. */
async function open(stage) {
  const source = await readFile(new URL('lib/held_back.js', import.meta.url), 'utf8');
  const opened = 'await patiently(() => file.createSyncAccessHandle())';
  const site = await stage.site({
    'opfs.js': (text) => `${text.replace(opened, `new HeldBack(${opened})`)}\n${source}`,
  });
  const hub = await stage.hub({ site });
  const browser = await stage.browser(hub);
  await (await browser.open('/')).leader();
  return { hub, browser };
}

/** Puts run when all of the browser's processes are killed at once. */
async function load(stage, hub, browser, prefix) {
  const puts = stage.ends(new Puts(hub.url, prefix));
  const [least, most] = LOAD_MS;
  await sleep(least + Math.random() * (most - least));
  await until('puts to be acknowledged', () => puts.acknowledged.size >= ENOUGH_PUTS);
  const before = puts.acknowledged.size;
  await until('another one', () => puts.acknowledged.size > before);
  await browser.kill();
  await puts.end();
  return puts;
}

/** Starts the browser again, and answers which promises it broke. */
async function afterKill(hub, browser, puts, promised) {
  promised.of(puts);
  await browser.start();
  const page = await browser.open('/');
  await page.leader();
  for (const name of MEMBERS) await page.member(name, { place: /in this tab · keeps files/ });
  return promised.broken(hub.etcdctl);
}

function inWorkers(browser, work) {
  const tab = browser.tabs.at(-1);
  return Promise.all(MEMBERS.map(async (name) => (await tab.worker(name)).evaluate(work)));
}
