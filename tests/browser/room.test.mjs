// What the page says of the browser's storage: whether it stays, what is used and what is left.

import assert from 'node:assert/strict';

import { controlWorker } from './lib/control.mjs';
import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

const LARGE = 300 * 1024 * 1024;
const ROOM = '[data-field=room]';

scene('the page says whether its data stays, and how much room is left', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  await answerPersist(browser, hub, 'denied');
  const refused = await browser.open('/');
  await refused.leader();
  await refused.says(ROOM, /^Data in this browser: [\d.]+ [KM]iB used, [\d.]+ [GM]iB left by its/);
  await refused.says(ROOM, /has not agreed: it may remove it when the disk gets full\.$/);
  assert.equal(await refused.page.evaluate(() => navigator.storage.persisted()), false);

  // It keeps up with what is used.
  const control = await controlWorker(refused);
  await control.evaluate(async (bytes) => {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle('large', { create: true });
    const handle = await file.createSyncAccessHandle();
    handle.truncate(bytes);
    handle.close();
  }, LARGE);
  await refused.says(ROOM, /: 3\d\d\.\d MiB used/);
  await refused.close();

  await answerPersist(browser, hub, 'granted');
  const agreed = await browser.open('/');
  await agreed.says(ROOM, /has agreed to keep it until you remove it\.$/);
  assert.equal(await agreed.page.evaluate(() => navigator.storage.persisted()), true);
});

scene('a page without members says nothing of storage', async (stage) => {
  const hub = await stage.hub();
  await (await (await stage.browser(hub)).open('/')).leader();
  // Another browser finds the cluster's name taken: it is a console.
  const console_ = await (await stage.browser(hub)).open('/');
  await console_.leader();
  await until('no word of storage', () =>
    console_.page.evaluate((of) => !document.querySelector(of), ROOM));
});

/** What the browser answers to a page that wants its data kept. */
async function answerPersist(browser, hub, setting) {
  const cdp = await browser.playwright.newBrowserCDPSession();
  const permission = { name: 'persistent-storage' };
  await cdp.send('Browser.setPermission', { permission, setting, origin: hub.url });
}
