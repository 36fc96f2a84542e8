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

  // A row's Delete, and a member's Stop and Restart.
  await tabTo(page, { text: 'Delete' });
  assert.ok(await focusIsSeen(page), 'the focus on Delete is seen');
  await keyboard.press('Enter');
  await until('the delete', async () => (await hub.etcdctl.value('typed')) === undefined);
  await tabTo(page, { text: 'Stop', member: '3' });
  assert.ok(await focusIsSeen(page), 'the focus on Stop is seen');
  await keyboard.press('Space');
  await tab.tab.member('3', { role: 'stopped', reason: null });
  await tabTo(page, { text: 'Restart', member: '3' });
  await keyboard.press('Enter');
  await tab.tab.member('3', { role: /leader|follower/ });
});

scene('wide, narrow, light and dark', async (stage) => {
  const hub = await stage.hub();
  const { page, tab } = await formed(stage, hub);
  await hub.etcdctl.run('put', 'a/rather/long/key/'.repeat(8), 'a value with words '.repeat(30));
  await hub.etcdctl.run('put', 'nospace', 'x'.repeat(500));
  await hub.etcdctl.run('put', 'key1', 'value1');
  await tab.row('key1', 'value1');
  const looks = [
    { name: 'wide', width: 1280, colorScheme: 'light' },
    { name: 'wide-dark', width: 1280, colorScheme: 'dark' },
    { name: 'narrow', width: 360, colorScheme: 'light' },
    { name: 'narrow-dark', width: 360, colorScheme: 'dark' },
  ];
  const shades = {};
  for (const { name, width, colorScheme } of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    const { inside, outside, ground, ink } = await page.evaluate(() => {
      const { color, backgroundColor } = getComputedStyle(document.body);
      const root = getComputedStyle(document.documentElement).backgroundColor;
      const clear = backgroundColor === 'rgba(0, 0, 0, 0)';
      return {
        inside: document.documentElement.scrollWidth,
        outside: document.documentElement.clientWidth,
        ground: clear ? root : backgroundColor,
        ink: color,
      };
    });
    assert.ok(inside <= outside, `${name}: ${inside} px wide on a screen of ${outside}`);
    shades[colorScheme] = { ground: brightness(ground), ink: brightness(ink) };
    await page.screenshot({ path: await shot(name), fullPage: true });
  }
  assert.ok(shades.light.ground > shades.light.ink, 'dark on light');
  assert.ok(shades.dark.ground < shades.dark.ink, 'light on dark');
});

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
