// What puts were promised, and whether it is kept.

export class Promises {
  constructor() {
    this.all = new Map();
  }

  /** What these puts were told is promised. */
  of(puts) {
    for (const [key, value] of puts.acknowledged) this.all.set(key, value);
  }

  /** The keys whose values are not there. */
  async broken(etcdctl) {
    const out = await etcdctl.run('get', '--prefix', '', '-w', 'json');
    const there = new Map((JSON.parse(out).kvs ?? []).map((kv) => [text(kv.key), text(kv.value)]));
    return [...this.all].filter(([key, value]) => there.get(key) !== value).map(([key]) => key);
  }
}

function text(base64) {
  return Buffer.from(base64, 'base64').toString();
}
