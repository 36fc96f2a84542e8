// The files of a member in Node, alone.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';

import { NodeFiles } from '../../worker/node/files.mjs';
import { scene } from '../browser/lib/scene.mjs';
import { until } from '../browser/lib/until.mjs';

const MIB = 1024 * 1024;

scene('a file grows with room behind it, or as far as there is room', async (stage) => {
  const files = new NodeFiles(join(stage.dir, 'member'));
  const used = (name) => statSync(join(stage.dir, 'member', name)).blocks * 512;

  const small = files.open('store-00000001');
  small.truncate(MIB);
  assert.deepEqual([small.getSize(), used('store-00000001') >= MIB], [MIB, true]);

  const large = files.open('store-00000002');
  large.write(new Uint8Array(100).fill(7), { at: 0 });
  large.truncate(40 * MIB);
  assert.deepEqual([large.getSize(), used('store-00000002') < MIB], [40 * MIB, true]);
  // What is written before all of it has a place is there afterwards.
  large.write(new Uint8Array(5000).fill(8), { at: 30 * MIB + 100 });
  await until('all of it to have a place', () => used('store-00000002') >= 40 * MIB);
  const read = new Uint8Array(40 * MIB);
  assert.equal(large.read(read, { at: 0 }), 40 * MIB);
  const expected = new Uint8Array(40 * MIB);
  expected.fill(7, 0, 100).fill(8, 30 * MIB + 100, 30 * MIB + 5100);
  assert.ok(Buffer.from(read.buffer).equals(Buffer.from(expected.buffer)), 'and nothing else');

  // More than any disk has.
  const full = { name: 'QuotaExceededError', message: /needs \d+ bytes more/ };
  assert.throws(() => large.truncate(2 ** 50), full);
  assert.equal(large.getSize(), 40 * MIB);
  large.truncate(80 * MIB);
  large.truncate(50);
  assert.deepEqual([large.getSize(), used('store-00000002') < MIB], [50, true]);

  small.close();
  large.close();
  files.close();
});
