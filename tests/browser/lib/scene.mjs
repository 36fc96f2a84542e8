// One test: what it starts is ended with it, and when it fails it says what was on the screens.

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser } from './browser.mjs';
import { need } from './env.mjs';
import { Etcdctl } from './etcdctl.mjs';
import { Hub } from './hub.mjs';
import { NodeMember } from './node.mjs';
import { servers } from './server.mjs';

const TEST_ENDS_AFTER_MS = 180_000;

/** What a browser says of a socket or a page whose hub is gone. */
export const HUB_GONE = [/WebSocket connection to .* failed/, /ERR_CONNECTION_REFUSED/];

class Scene {
  constructor(dir) {
    this.dir = dir;
    this.hubs = [];
    this.members = [];
    this.browsers = [];
    this.others = [];
    this.expected = [];
  }

  /** Starts a hub: `{ host, site }`. */
  async hub(options = {}) {
    const hub = new Hub(join(this.dir, String(this.hubs.length)), options);
    this.hubs.push(hub);
    await hub.start();
    hub.etcdctl = new Etcdctl(`127.0.0.1:${hub.port}`);
    return hub;
  }

  /** Servers of these names, in one cluster; those of `start` run. */
  async servers(names, { start = names } = {}) {
    this.members = await servers(this.dir, names);
    const started = this.members.filter(({ name }) => start.includes(name));
    await Promise.all(started.map((server) => server.start()));
    return this.members;
  }

  /** Members of these names in Node, at a hub, all of them running: `{ site }`. */
  nodes(hub, names, options) {
    this.members = names.map((name) => new NodeMember(this.dir, name, hub, options).start());
    return this.members;
  }

  /** A copy of the page with some of its files edited: `{ FILE: (text) => text }`. */
  async site(edits) {
    const dir = join(this.dir, 'site');
    await cp(need('KVORUM_SITE'), dir, { recursive: true });
    for (const [name, edit] of Object.entries(edits)) {
      const text = await readFile(join(dir, name), 'utf8');
      const edited = edit(text);
      assert.notEqual(edited, text, `the edit of ${name} changes it`);
      await writeFile(join(dir, name), edited);
      // What was packed beforehand would be served instead.
      await rm(join(dir, `${name}.gz`), { force: true });
    }
    return dir;
  }

  /** Starts a browser with a new, empty profile. */
  async browser(hub) {
    const profile = join(this.dir, `profile-${this.browsers.length}`);
    const browser = new Browser(profile, hub.url);
    this.browsers.push(browser);
    return browser.start();
  }

  /** Has something ended with the test. */
  ends(other) {
    this.others.push(other);
    return other;
  }

  /** Errors on a page's console that belong to what the test does. */
  expects(...patterns) {
    this.expected.push(...patterns);
  }

  tabs() {
    return this.browsers.flatMap((browser) => browser.tabs);
  }

  noErrors() {
    const errors = this.tabs().flatMap((tab) => tab.errors);
    const unexpected = errors.filter((text) => !this.expected.some((known) => known.test(text)));
    assert.deepEqual(unexpected, [], 'errors on the console of a page');
  }

  async report() {
    for (const tab of this.tabs()) {
      if (tab.page.isClosed()) continue;
      console.log(`--- ${tab.page.url()}`, tab.errors);
      console.log(await tab.page.innerText('body', { timeout: 2000 }).catch(String));
    }
    for (const hub of this.hubs) console.log('--- the hub', hub.log);
    for (const { name, log } of this.members) console.log(`--- member ${name}`, log);
  }

  async end() {
    for (const other of this.others) await other.end();
    for (const browser of this.browsers) await browser.kill();
    for (const process of [...this.hubs, ...this.members]) await process.kill();
    // A process of Chromium may still be at its last write.
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** A test that plays on a scene of its own. */
export function scene(name, play, { timeout = TEST_ENDS_AFTER_MS } = {}) {
  test(name, { timeout }, async () => {
    const stage = new Scene(await mkdtemp(join(tmpdir(), 'kvorum-test-')));
    try {
      await play(stage);
      stage.noErrors();
    } catch (error) {
      await stage.report().catch(() => {});
      throw error;
    } finally {
      await stage.end();
    }
  });
}
