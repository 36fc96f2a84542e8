// Chromium as people have it. It is started here and not by Playwright, whose switches keep every
// tab as if it were in front and every page out of the back-forward cache; `noDefaults` leaves out
// the focus that Playwright emulates for the same end. So a tab behind another one is hidden.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

import { need } from './env.mjs';
import { Tab } from './tab.mjs';
import { until } from './until.mjs';

const SWITCHES = [
  '--headless',
  '--no-sandbox', // tests may run as root
  '--disable-gpu',
  '--hide-scrollbars', // a phone's lie over the page
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--password-store=basic',
  '--window-size=1280,1000',
  '--remote-debugging-port=0',
];

/** Groups of processes that run. */
const running = new Set();

function killAll() {
  for (const group of running) killGroup(group);
}

function killGroup(group) {
  running.delete(group);
  try {
    process.kill(-group, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

// A run that is broken off leaves no browser behind.
process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

export class Browser {
  /** One profile of one person: what is kept in `profile` is there again after `start`. */
  constructor(profile, url) {
    this.profile = profile;
    this.url = url;
    this.tabs = [];
    this.child = null;
  }

  async start() {
    await mkdir(this.profile, { recursive: true });
    const portFile = join(this.profile, 'DevToolsActivePort');
    await rm(portFile, { force: true });
    const args = [...SWITCHES, `--user-data-dir=${this.profile}`, 'about:blank'];
    // A group of its own: Chromium is many processes, and all of them are ended together.
    this.child = spawn(need('CHROMIUM'), args, { detached: true, stdio: 'ignore' });
    running.add(this.child.pid);
    const port = await until('Chromium to listen', async () => {
      const [port, path] = (await readFile(portFile, 'utf8')).split('\n');
      return path && port;
    });
    this.at = `http://127.0.0.1:${port}`;
    await this.connect();
    return this;
  }

  async connect() {
    this.playwright = await chromium.connectOverCDP(this.at, { noDefaults: true });
    this.context = this.playwright.contexts()[0];
  }

  /** The tabs as they are: Playwright has done with a page that has crashed once. */
  async connectAnew() {
    await this.playwright.close();
    await this.connect();
    this.tabs = this.context.pages().map((page) => new Tab(page));
    return this.tabs;
  }

  /** Opens a tab in front of the others. */
  async open(path = '/') {
    const tab = new Tab(await this.context.newPage());
    this.tabs.push(tab);
    await tab.page.goto(new URL(path, this.url).href);
    return tab;
  }

  /** From now on, what a tab downloads is saved in `dir` under the name that it asks for. */
  async saves(dir) {
    const session = await this.context.newCDPSession(this.tabs[0].page);
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: dir });
  }

  /** The tab that `act` opens. */
  async opens(act) {
    const page = this.context.waitForEvent('page');
    await act();
    const tab = new Tab(await page);
    this.tabs.push(tab);
    return tab;
  }

  /** Its processes: `{ id, type }`, where the type of one that runs pages is `renderer`. */
  async processes() {
    const cdp = await this.playwright.newBrowserCDPSession();
    const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
    return processInfo.filter(({ id }) => id > 0);
  }

  /** All of its processes at once, with no time to do anything. */
  async kill() {
    const child = this.child;
    this.child = null;
    if (!child) return;
    const runs = child.exitCode === null && child.signalCode === null;
    const ended = runs ? once(child, 'exit') : null;
    killGroup(child.pid);
    await ended;
    // Only the connection is left to close.
    await this.playwright?.close().catch(() => {});
  }
}
