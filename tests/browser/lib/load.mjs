// A load that has members do all that they do: their stores are moved, compacted and written anew,
// their logs are cut.

import assert from 'node:assert/strict';

import { Puts, putMany } from './puts.mjs';
import { until } from './until.mjs';

const MIB = 1024 * 1024;

/**
 * Puts so many small keys and deletes all at once, which a watch is told; puts so many MiB, reads
 * and deletes much, and goes on while that is compacted.
 */
export async function load(stage, hub, { keys, mib, sideBySide }) {
  const { etcdctl } = hub;
  const revision = async () => {
    const { header } = JSON.parse(await etcdctl.run('get', 'none', '-w', 'json'));
    return header.revision;
  };
  const before = await revision();
  await putMany(hub.url, 'm/', keys);
  const watch = etcdctl.start('watch', '--prefix', 'm/', '--rev', String(before + 1));
  await until('the puts to be told', () => watch.lines.length >= 3 * keys, 60_000);
  assert.equal((await etcdctl.run('del', '--prefix', 'm/')).trim(), String(keys));
  const deleted = () => watch.lines.filter((line) => line === 'DELETE').length;
  await until('the deletions to be told', () => deleted() === keys, 60_000);
  await watch.end();
  const puts = stage.ends(new Puts(hub.url, 'k/', { sideBySide, valueBytes: 16_000 }));
  const bytes = () => [...puts.acknowledged.values()].reduce((sum, value) => sum + value.length, 0);
  await until('much to be put', () => bytes() > mib * MIB, 120_000);
  await etcdctl.run('get', '--prefix', 'k/', '--keys-only');
  await etcdctl.run('del', '--prefix', 'k/');
  await etcdctl.run('compact', String(await revision()));
  const count = puts.acknowledged.size;
  await until('more to be put', () => puts.acknowledged.size > count * 1.2, 120_000);
  await puts.end();
  return `${puts.acknowledged.size} puts, ${Math.round(bytes() / MIB)} MiB`;
}
