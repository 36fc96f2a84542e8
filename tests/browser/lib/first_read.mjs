// What a page reads first when it runs again: nothing older than what had been acknowledged before.

import assert from 'node:assert/strict';

import { until } from './until.mjs';

/** From the moment in which the page may run again until it shows what it read then. */
const BACK_MS = 2000;

/** Has the page show no key, until it is asked for “k”. */
export async function showNothing(tab) {
  await showPrefix(tab, 'nothing/');
  await tab.caption(/keys that start with “nothing\/”/i);
}

/** Types a prefix of keys, also where nothing can be typed. */
export function showPrefix(tab, prefix) {
  return tab.page.evaluate((prefix) => {
    const field = [...document.querySelectorAll('label')]
      .find((label) => label.textContent.trim() === 'Prefix').control;
    field.value = prefix;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, prefix);
}

/** Has a page that shows no row of “k” keep the first one, and its member's roles. */
export function watchPage(tab) {
  return tab.page.evaluate(watch);
}

/** The same for the page that is loaded next in a tab. */
export function watchNext(cdp) {
  return cdp.send('Page.addScriptToEvaluateOnNewDocument', { source: `(${watch})()` });
}

/** Runs in the page. */
function watch() {
  const text = (from, of) => from?.querySelector(of)?.textContent ?? '';
  const roles = [];
  let first = null;
  const look = () => {
    const card = [...document.querySelectorAll('[data-member]')]
      .find((card) => text(card, '.place').includes('in this tab'));
    const role = `${card?.dataset.role} of ${text(card, '[data-field=term]')}`;
    if (roles.at(-1) !== role) roles.push(role);
    const row = document.querySelector('[data-key=k]');
    if (!row) return;
    const revision = Number(text(row, '[data-label=revision]'));
    first ??= { revision, at: performance.now(), roles };
  };
  look();
  new MutationObserver(look).observe(document,
    { subtree: true, childList: true, characterData: true, attributes: true });
  window.read = () => first;
}

/**
 * Waits for what the page read first: `{ revision, at, roles }`, where `at` counts from when it
 * began to load. `evaluate` runs a function in the page.
 */
export function firstRead(evaluate) {
  return until('the page to show what it read', () => evaluate(() => window.read?.()));
}

/** What was read first is not stale, and service was back in time. */
export function assertBack({ revision }, { acknowledged, after }) {
  console.log(`# back after ${Math.round(after)} ms`);
  assert.ok(revision >= acknowledged, `it read revision ${revision} of ${acknowledged}`);
  assert.ok(after < BACK_MS, `it took ${Math.round(after)} ms`);
}
