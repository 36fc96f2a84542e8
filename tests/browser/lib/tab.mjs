// A tab with the product's page, in the words of its user.
//
// What is looked at is looked at from here, by evaluation: a hidden page paints no frames, and
// whatever waits for one inside of it waits for ever.

import { until } from './until.mjs';

export class Tab {
  constructor(page) {
    this.page = page;
    this.errors = [];
    /** The Workers of this page's members, the newest of each, and how many there have been. */
    this.workers = new Map();
    this.workersSeen = 0;
    page.on('worker', (worker) => this.sees(worker));
    page.on('pageerror', (error) => this.errors.push(`uncaught: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
  }

  async sees(worker) {
    this.workersSeen += 1;
    // Its name is `CLUSTER MEMBER`.
    const name = await worker.evaluate(() => self.name).catch(() => '');
    this.workers.set(name.split(' ').at(-1), worker);
  }

  /** A member's Worker, once it is known by its name. */
  async worker(name) {
    return until(`the Worker of ${name}`, () => this.workers.get(name));
  }

  /** Brings it in front of the other tabs. */
  async show() {
    await this.page.bringToFront();
    return this;
  }

  async close() {
    await this.page.close();
  }

  /** What the cards say, by the member's name. */
  async cards() {
    return Object.fromEntries(await this.page.evaluate(readCards));
  }

  async card(name) {
    return (await this.cards())[name];
  }

  /** Waits until a card is as `wanted` says, and answers it. */
  async member(name, wanted, within) {
    const fits = (card) => Object.entries(wanted).every(([what, value]) =>
      value instanceof RegExp ? value.test(card?.[what]) : card?.[what] === value);
    return until(`member ${name} to be ${describe(wanted)}`, async () => {
      const card = await this.card(name);
      if (!fits(card)) throw new Error(JSON.stringify(card));
      return card;
    }, within);
  }

  /** Waits for a leader that all who run follow, and answers its name. */
  async leader({ running = 3, within } = {}) {
    return until(`one leader among ${running} members`, async () => {
      const cards = Object.values(await this.cards());
      const run = cards.filter((card) => card.role !== 'stopped');
      const leaders = run.filter((card) => card.role === 'leader');
      const settled = run.length === running && leaders.length === 1
        && run.every((card) => card.term === leaders[0].term && card.role !== 'candidate');
      if (!settled) throw new Error(JSON.stringify(cards));
      return leaders[0].name;
    }, within);
  }

  /** The rows: key to what stands in it. */
  async rows() {
    return Object.fromEntries(await this.page.evaluate(() =>
      [...document.querySelectorAll('[data-key]')].map((row) => {
        const text = (of) => row.querySelector(of)?.textContent.trim() ?? '';
        return [row.dataset.key, {
          value: text('td.value'),
          version: text('[data-label=version]'),
          revision: text('[data-label=revision]'),
        }];
      })));
  }

  /** Waits until a key's row shows a value; `undefined` waits for no such row. */
  async row(key, value, within) {
    return until(`the row of ${key} to show ${value}`, async () => {
      const rows = await this.rows();
      if (rows[key]?.value !== value) throw new Error(JSON.stringify(rows));
      return true;
    }, within);
  }

  /** What the table says of its rows, and how many there are. */
  async caption(pattern, within) {
    return this.says('[data-field=caption]', pattern, within);
  }

  async count(words, within) {
    return until(`the table to have ${words}`, async () => {
      const count = await this.page.textContent('[data-field=count]');
      if (count !== words) throw new Error(count);
      return true;
    }, within);
  }

  /** A key's row. */
  rowOf(key) {
    return this.page.locator(`tr[data-key=${JSON.stringify(key)}]`);
  }

  /** Puts by the form. */
  async put(key, value) {
    await this.show();
    await this.page.getByLabel('Key', { exact: true }).fill(key);
    await this.page.getByLabel('Value', { exact: true }).fill(value);
    await this.page.getByRole('button', { name: 'Put', exact: true }).click();
  }

  /** Deletes by the row's button. */
  async delete(key) {
    await this.show();
    await this.rowOf(key).getByRole('button', { name: 'Delete' }).click();
  }

  /** Presses a button or follows a link of a member's card. */
  async press(member, name) {
    await this.show();
    await this.on(member, name).click();
  }

  on(member, name) {
    const card = this.page.locator(`[data-member="${member}"]`);
    return card.getByRole('button', { name, exact: true })
      .or(card.getByRole('link', { name, exact: true }));
  }

  /** Waits until the text of an element fits. */
  async says(selector, pattern, within) {
    return until(`${selector} to say ${pattern}`, async () => {
      const text = await this.page.evaluate((of) =>
        [...document.querySelectorAll(of)].map((e) => e.textContent).join('\n'), selector);
      if (!pattern.test(text)) throw new Error(text);
      return true;
    }, within);
  }

  /** What is wrong with a put, and with a reading, in words. */
  async putSays(pattern, within) {
    return this.says('#put-error', pattern, within);
  }

  async readingSays(pattern, within) {
    return this.says('[data-field=read-error]', pattern, within);
  }

  async noticeSays(pattern, within) {
    return this.says('[data-notice]', pattern, within);
  }
}

// Runs in the page.
function readCards() {
  return [...document.querySelectorAll('[data-member]')].map((card) => {
    const text = (of) => card.querySelector(of)?.textContent.trim() ?? '';
    const links = [...card.querySelectorAll('[data-peer]')];
    return [card.dataset.member, {
      name: card.dataset.member,
      role: card.dataset.role,
      reason: card.dataset.reason ?? null,
      place: text('.place'),
      note: text('.note'),
      term: text('[data-field=term]'),
      commit: text('[data-field=commit]'),
      applied: text('[data-field=applied]'),
      revision: text('[data-field=revision]'),
      links: links.map((link) => `${link.dataset.peer} ${link.dataset.link}`),
      actions: [...card.querySelectorAll('button, a')].map((e) => e.textContent.trim()),
    }];
  });
}

function describe(wanted) {
  return Object.entries(wanted).map(([what, value]) => `${what} ${value}`).join(', ');
}
