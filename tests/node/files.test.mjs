// The files of a member in Node, alone.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';

import { NodeFiles } from '../../worker/node/files.mjs';
import { scene } from '../browser/lib/scene.mjs';

const MIB = 1024 * 1024;

scene('a file grows with room behind it, or as far as there is room', async (stage) => {
  const files = new NodeFiles(join(stage.dir, 'member'));
  const used = (name) => statSync(join(stage.dir, 'member', name)).blocks * 512;

  const log = files.open('log-00000001');
  log.truncate(MIB);
  assert.deepEqual([log.getSize(), used('log-00000001') >= MIB], [MIB, true]);

  const store = files.open('store-00000001');
  store.write(new Uint8Array(100).fill(7), { at: 0 });
  store.truncate(100 * MIB);
  assert.deepEqual([store.getSize(), used('store-00000001') < MIB], [100 * MIB, true]);
  const zeros = new Uint8Array(MIB).fill(1);
  assert.equal(store.read(zeros, { at: 50 * MIB }), MIB);
  assert.ok(zeros.every((byte) => byte === 0), 'what was never written is zeros');

  // More than any disk has.
  const full = { name: 'QuotaExceededError', message: /needs \d+ bytes more/ };
  assert.throws(() => store.truncate(2 ** 50), full);
  assert.equal(store.getSize(), 100 * MIB);
  store.truncate(50);
  assert.equal(store.getSize(), 50);

  log.close();
  store.close();
  files.close();
});
