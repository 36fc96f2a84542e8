// What the page looks like, and that it can be used without a mouse.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { need } from './lib/env.mjs';
import { scene } from './lib/scene.mjs';
import { until } from './lib/until.mjs';

/** Far more than the page has. */
const TABS_MAX = 60;

scene('the keyboard is enough', async (stage) => {
  const hub = await stage.hub();
  const { page, ...tab } = await formed(stage, hub);
  const keyboard = page.keyboard;

  await tabTo(page, { id: 'key' });
  assert.ok(await focusIsSeen(page), 'the focus on Key is seen');
  await keyboard.type('typed');
  await keyboard.press('Tab');
  assert.equal((await focused(page)).id, 'value');
  await keyboard.type('by hand');
  await keyboard.press('Enter');
  await until('the put', async () => (await hub.etcdctl.value('typed')) === 'by hand');

  // The same by the button.
  await keyboard.press('ControlOrMeta+A');
  await keyboard.type('by button');
  await keyboard.press('Tab');
  assert.equal((await focused(page)).text, 'Put');
  assert.ok(await focusIsSeen(page), 'the focus on Put is seen');
  await keyboard.press('Enter');
  await until('the put', async () => (await hub.etcdctl.value('typed')) === 'by button');

  // A row's Delete, which is taken back where the focus goes to.
  await tabTo(page, { text: 'Delete' });
  assert.ok(await focusIsSeen(page), 'the focus on Delete is seen');
  await keyboard.press('Enter');
  await until('the delete', async () => (await hub.etcdctl.value('typed')) === undefined);
  await until('the focus to be on Undo', async () => (await focused(page)).id === 'undo');
  await keyboard.press('Enter');
  await until('the key to be back', async () => (await hub.etcdctl.value('typed')) === 'by button');
  await until('the focus to be on the table', async () => (await focused(page)).id === 'rows');

  // A member's Stop and Restart are the same button.
  await tabTo(page, { text: 'Stop', member: '3' });
  assert.ok(await focusIsSeen(page), 'the focus on Stop is seen');
  await keyboard.press('Space');
  await tab.tab.member('3', { role: 'stopped', reason: null });
  await until('the focus to be on Restart', async () => {
    const { text, member } = await focused(page);
    return text === 'Restart' && member === '3';
  });
  await keyboard.press('Enter');
  await tab.tab.member('3', { role: /leader|follower/ });
  assert.equal((await focused(page)).text, 'Stop');

  // A put without a key leads to the key, and what was said is gone when one is typed.
  await page.locator('#key').fill('');
  await page.locator('#value').press('Enter');
  await tab.tab.putSays(/A key has at least one character/);
  assert.equal((await focused(page)).id, 'key');
  await keyboard.type('k');
  await tab.tab.putSays(/^$/);
});

scene('a tab’s title says which members it runs, and what they do', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const tabs = {};
  for (const name of ['1', '2', '3']) tabs[name] = await browser.open(`/?member=${name}`);
  const leader = await tabs['1'].leader();
  const titled = (tab, title) => until(`a tab to be called ${title}`, async () => {
    const now = await tab.page.title();
    if (now !== title) throw new Error(now);
    return true;
  });
  for (const [name, tab] of Object.entries(tabs)) {
    await titled(tab, `Member ${name} · ${name === leader ? 'leader' : 'follower'} · default`);
  }

  // By their titles one can follow who leads next.
  await tabs[leader].close();
  delete tabs[leader];
  const next = await Object.values(tabs)[0].leader({ running: 2 });
  await titled(tabs[next], `Member ${next} · leader · default`);
  const other = Object.keys(tabs).find((name) => name !== next);
  await tabs[other].press(leader, 'Run here');
  await titled(tabs[other], `Members ${[leader, other].sort().join(' and ')} · follower · default`);
});

scene('a command for the shell is copied by a button', async (stage) => {
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const { page } = await browser.open('/');
  const rights = ['clipboard-read', 'clipboard-write'];
  await browser.context.grantPermissions(rights, { origin: hub.url });
  await page.bringToFront();
  await page.getByRole('button', { name: /^Copy .* put key1 value1/ }).click();
  await until('the button to say so', () => page.getByRole('button', { name: /^Copied/ }).count());
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, `etcdctl --endpoints=127.0.0.1:${hub.port} put key1 value1`);
});

scene('wide, narrow, light and dark', async (stage) => {
  const hub = await stage.hub();
  const { page, tab } = await formed(stage, hub);
  await hub.etcdctl.run('put', 'a/rather/long/key/'.repeat(8), 'a value with words '.repeat(30));
  await hub.etcdctl.run('put', 'nospace', 'x'.repeat(500));
  await hub.etcdctl.run('put', 'key1', 'value1');
  await hub.etcdctl.feed('y'.repeat(1.4 * 1024 * 1024), 'put', 'large');
  await tab.row('key1', 'value1');
  await tab.rowOf('nospace').getByRole('button', { name: /Show all/ }).click();
  // Whatever is in the form, it stays in its place.
  await tab.rowOf('large').getByTitle('Edit').click();
  assert.deepEqual(await overflow(page), 0, 'a large value in the form');
  await page.getByLabel('Value', { exact: true }).fill('{"host":"10.0.0.7","port":5432,"user":"kvorum"}');
  const looks = [1280, 768, 400, 320].flatMap((width) => ['light', 'dark'].map((colorScheme) =>
    ({ name: `${width}-${colorScheme}`, width, colorScheme })));
  const shades = {};
  for (const { name, width, colorScheme } of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    const { ground, ink } = await page.evaluate(() => {
      const { color, backgroundColor } = getComputedStyle(document.body);
      const root = getComputedStyle(document.documentElement).backgroundColor;
      const clear = backgroundColor === 'rgba(0, 0, 0, 0)';
      return {
        ground: clear ? root : backgroundColor,
        ink: color,
      };
    });
    assert.equal(await overflow(page), 0, name);
    shades[colorScheme] = { ground: brightness(ground), ink: brightness(ink) };
    await page.screenshot({ path: await shot(name), fullPage: true });
  }
  assert.ok(shades.light.ground > shades.light.ink, 'dark on light');
  assert.ok(shades.dark.ground < shades.dark.ink, 'light on dark');
});

/** By how many pixels the page is wider than the screen. */
function overflow(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return Math.max(0, scrollWidth - clientWidth);
  });
}

async function formed(stage, hub) {
  const browser = await stage.browser(hub);
  const tab = await browser.open('/');
  await tab.leader();
  return { tab, page: tab.page };
}

/** Presses Tab until the focus is on what is wanted. */
async function tabTo(page, wanted) {
  const passed = [];
  for (let presses = 0; presses < TABS_MAX; presses += 1) {
    await page.keyboard.press('Tab');
    const on = await focused(page);
    if (Object.entries(wanted).every(([what, value]) => on[what] === value)) return;
    passed.push(on);
  }
  assert.fail(`Tab does not come to ${JSON.stringify(wanted)}: ${JSON.stringify(passed)}`);
}

function focused(page) {
  return page.evaluate(() => {
    const on = document.activeElement;
    const member = on?.closest('[data-member]')?.dataset.member;
    return { id: on?.id, text: on?.textContent.trim(), member };
  });
}

/** The focused element has an outline, a border or a shadow that it has not without the focus. */
function focusIsSeen(page) {
  return page.evaluate(() => {
    const look = (of) => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(of);
      const outline = outlineStyle === 'none' ? 'none' : `${outlineStyle} ${outlineWidth}`;
      return [outline, boxShadow, borderColor].join('; ');
    };
    const on = document.activeElement;
    const with_ = look(on);
    on.blur();
    const without = look(on);
    on.focus({ focusVisible: true });
    return with_ !== without;
  });
}

/** From 0 to 255, of what `getComputedStyle` says. */
function brightness(color) {
  const numbers = color.match(/[\d.]+/g).map(Number);
  if (color.startsWith('rgb')) return (numbers[0] + numbers[1] + numbers[2]) / 3;
  // oklch, lab and the like begin with the lightness.
  return numbers[0];
}

/** Beside the site that was built: in target/shots. */
async function shot(name) {
  const dir = join(dirname(need('KVORUM_SITE')), 'shots');
  await mkdir(dir, { recursive: true });
  return join(dir, `${name}.png`);
}
