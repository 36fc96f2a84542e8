// Another web site, open in the same browser, gets neither at the relay nor at the doors.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { once } from 'node:events';

import { scene } from './lib/scene.mjs';
import { Tab } from './lib/tab.mjs';

scene('another site reaches neither the relay nor the doors', async (stage) => {
  // Every refusal is an error on the console.
  stage.expects(/./);
  const hub = await stage.hub();
  const browser = await stage.browser(hub);
  const page = await browser.open('/');
  await page.leader();
  await hub.etcdctl.run('put', 'secret', 'of this machine');

  const site = stage.ends(await Site.start());
  for (const host of ['127.0.0.1', 'localhost']) {
    const other = new Tab(await browser.context.newPage());
    await other.page.goto(`http://${host}:${site.port}/`);
    const relay = `ws://127.0.0.1:${hub.port}/relay`;
    assert.equal(await other.page.evaluate(tryRelay, relay), 'closed unopened', `from ${host}`);
    for (const path of ['/', '/etcdserverpb.KV/Range', '/build.json', '/relay']) {
      for (const mode of ['cors', 'no-cors']) {
        const seen = await other.page.evaluate(tryFetch, { url: hub.url + path, mode });
        assert.equal(seen, 'nothing', `${mode} ${path} from ${host}`);
      }
    }
    await other.close();
  }
  // The same calls work where they may: what is refused above is refused for its origin.
  assert.equal(await page.page.evaluate(tryRelay, `ws://127.0.0.1:${hub.port}/relay`), 'opened');
  assert.match(
    await page.page.evaluate(tryFetch, { url: `${hub.url}/build.json`, mode: 'cors' }), /\{/);
  assert.equal(await hub.etcdctl.value('secret'), 'of this machine');
  assert.equal((await page.card('1')).reason, null);
});

scene('a name that was made to point here is turned away', async (stage) => {
  const hub = await stage.hub();
  const own = `127.0.0.1:${hub.port}`;
  assert.equal(await statusOf(hub, '/', { host: 'evil.example' }), 421);
  assert.equal(await statusOf(hub, '/', { host: `evil.example:${hub.port}` }), 421);
  assert.equal(await statusOf(hub, '/', { host: own }), 200);
  // What a page cannot see of the answers that are kept from it.
  for (const path of ['/', '/relay', '/etcdserverpb.KV/Put']) {
    for (const origin of ['http://evil.example', 'http://127.0.0.1:1', 'null']) {
      assert.equal(await statusOf(hub, path, { host: own, origin }), 403, `${path} ${origin}`);
    }
  }
});

/** A site of someone else: one page, on a port of its own. */
class Site {
  static async start() {
    const site = new Site();
    site.server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>another site</title>');
    });
    site.server.listen(0);
    await once(site.server, 'listening');
    site.port = site.server.address().port;
    return site;
  }

  async end() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

async function statusOf(hub, path, headers) {
  const asked = request({ host: '127.0.0.1', port: hub.port, path, headers });
  asked.end();
  const [response] = await once(asked, 'response');
  response.resume();
  return response.statusCode;
}

// These two run in pages.

function tryRelay(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      socket.close();
    };
    socket.onclose = () => resolve(opened ? 'opened' : 'closed unopened');
  });
}

async function tryFetch({ url, mode }) {
  try {
    const options = { mode, method: 'POST', body: 'x' };
    const response = await fetch(url, url.includes('etcdserverpb') ? options : { mode });
    // An opaque answer tells its page nothing, whatever the server did.
    return response.type === 'opaque' ? 'nothing' : await response.text();
  } catch {
    return 'nothing';
  }
}
