// Browsers and pages that are not as they should be: no files, no secure context, an old page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

import { HUB_GONE, scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const MEMBERS = ['1', '2', '3'];

/** What browsers refuse, as some do in a private window, and what is known of it afterwards. */
const REFUSALS = {
  'where files are refused': {
    script: `navigator.storage.getDirectory =
      () => Promise.reject(new DOMException('not in a private window', 'SecurityError'));`,
    why: /in memory.*not in a private window/is,
    afterwards: 'lost',
  },
  // The page finds directories as they were left: with nothing in them.
  'where only opening files is refused': {
    script: `FileSystemFileHandle.prototype.createSyncAccessHandle =
      () => Promise.reject(new DOMException('not in a private window', 'NotAllowedError'));`,
    why: /in memory.*not in a private window/is,
    afterwards: 'away',
  },
  'where there is no way to open files': {
    script: 'delete FileSystemFileHandle.prototype.createSyncAccessHandle;',
    why: /in memory.*not a function/is,
    afterwards: 'away',
  },
};

for (const [where, { script, why, afterwards }] of Object.entries(REFUSALS)) {
  scene(`${where}, members live in memory and say so`, async (stage) => {
    const hub = await stage.hub({ site: await refusing(stage, script) });
    const browser = await stage.browser(hub);
    await browser.context.addInitScript(script);
    await liveInMemory(stage, hub, browser, { why, afterwards });
  });
}

/** The site whose members' Workers are in a browser that refuses something. */
function refusing(stage, script) {
  return stage.site({ 'browser.js': (js) => script + js });
}

async function liveInMemory(stage, hub, browser, { why, afterwards }) {
  const page = await browser.open('/');
  const leader = await page.leader();
  await page.noticeSays(why);
  for (const name of MEMBERS) {
    const card = await page.member(name, { place: /in memory only/ });
    assert.ok(!card.actions.includes('open in its own tab'), 'it could not take its data along');
  }
  await hub.etcdctl.run('put', 'k', 'v');

  // All are stopped and started again: a stop keeps the Workers, and so the data.
  const workers = page.workersSeen;
  for (const name of MEMBERS) await page.press(name, 'Stop');
  for (const name of MEMBERS) {
    const card = await page.member(name, { role: 'stopped', reason: null });
    assert.match(card.note, /Paused.*memory/);
  }
  for (const name of MEMBERS) await page.press(name, 'Restart');
  await page.leader();
  assert.equal(page.workersSeen, workers, 'no Worker was ended');
  await until('the key to be read', async () => (await hub.etcdctl.value('k')) === 'v');

  // A crash takes one member's data: it is lost, and the two others carry on.
  stage.expects(/crash/i);
  await (await page.worker(leader)).evaluate(() => {
    setTimeout(() => { throw new Error('crashed on purpose'); });
  });
  const card = await page.member(leader, { role: 'stopped', reason: 'lost' });
  assert.ok(card.actions.includes('Start a new cluster here'));
  await page.leader({ running: 2 });
  await hub.etcdctl.run('put', 'k', 'w');

  // The page goes, and with it everything. What comes after says so, and offers what is left.
  await page.page.reload();
  const gone = { role: 'stopped', reason: afterwards };
  for (const name of MEMBERS) await page.member(name, gone);
  await page.page.getByRole('button', { name: 'Start a new cluster here' }).first().click();
  await page.page.getByRole('dialog').getByRole('button', { name: 'Start a new cluster' }).click();
  await page.leader();
  assert.equal(await hub.etcdctl.value('k'), undefined);
}

scene('a member whose data is there does not live in memory beside it', async (stage) => {
  stage.expects(...HUB_GONE);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');

  const { site } = hub;
  const { script } = REFUSALS['where only opening files is refused'];
  await serve(hub, await refusing(stage, script));
  await page.page.reload();
  for (const name of MEMBERS) {
    const { note, actions } = await page.member(name, { role: 'stopped', note: /could not be/ });
    assert.match(note, /refuses.*not in a private window.*hold its data.*Allow/);
    assert.ok(actions.includes('Restart'));
  }

  // Allowed again, they have it all.
  await serve(hub, site);
  await page.page.reload();
  await page.leader();
  for (const name of MEMBERS) await page.member(name, { place: /keeps files/ });
  assert.equal(await hub.etcdctl.value('k'), 'v');
});

scene('a page that is older than the hub asks to be loaded anew', async (stage) => {
  stage.expects(...HUB_GONE);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await hub.etcdctl.run('put', 'k', 'v');

  // The next build comes.
  const { build } = JSON.parse(await readFile(join(hub.site, 'build.json'), 'utf8'));
  const next = (text) => text.replaceAll(build, '0123456789abcdef');
  await serve(hub, await stage.site({ 'build.json': next, 'index.html': next }));
  await page.noticeSays(/older build.*reload/is);
  const { err } = await hub.etcdctl.try(['get', 'k']);
  assert.match(err, /no member of cluster/, 'members of an older build are not let in');
  await page.page.getByRole('button', { name: 'Reload' }).click();
  await page.leader();
  assert.equal(await hub.etcdctl.value('k'), 'v');
});

scene('a page at an address that is not secure is a console', async (stage) => {
  const [lan] = Object.values(networkInterfaces()).flat()
    .filter((address) => address.family === 'IPv4' && !address.internal);
  if (!lan) {
    console.log('# this machine has no address but loopback: nothing to show');
    return;
  }
  const hub = await stage.hub({ host: '0.0.0.0' });
  const browser = await stage.browser(hub);
  // A header that only secure pages heed.
  stage.expects(/Cross-Origin-Opener-Policy/);
  const guest = await browser.open(`http://${lan.address}:${hub.port}/`);
  await guest.noticeSays(/No member can run in this page.*secure/s);
  for (const name of MEMBERS) {
    const card = await guest.member(name, { role: 'stopped' });
    assert.ok(!card.actions.includes('Run here'));
  }
  const page = await browser.open('/');
  await page.leader();
  await guest.put('k', 'from afar');
  await page.row('k', 'from afar');
  await guest.row('k', 'from afar');
});

scene('bytes that are no frames cost one connection', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  const leader = await page.leader();
  const { term } = await page.card(leader);
  const frames = {
    text: [4001, "'hello'"],
    nothing: [4001, 'new Uint8Array(0)'],
    // The first byte is the version of the wire: `FRAME_VERSION` of crates/api.
    noise: [4001, 'new Uint8Array(512).fill(255).fill(3, 0, 1)'],
    'another version': [4005, 'new Uint8Array(512).fill(255)'],
    'too large': [4002, 'new Uint8Array(5 * 1024 * 1024).fill(1)'],
  };
  for (const [name, [code, frame]] of Object.entries(frames)) {
    const closed = await page.page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket('ws://' + location.host + '/relay');
      socket.onopen = () => socket.send(${frame});
      socket.onclose = ({ code, reason }) => resolve({ code, reason });
    })`);
    console.log(`# ${name}: closed with ${closed.code} ${closed.reason}`);
    assert.equal(closed.code, code, name);
    assert.notEqual(closed.reason, '', name);
  }
  assert.equal((await page.card(leader)).term, term);
  await hub.etcdctl.run('put', 'k', 'v');
  await page.row('k', 'v');
});

/** Has the hub go on with another site. */
async function serve(hub, site) {
  await hub.kill();
  hub.site = site;
  await hub.start();
}
