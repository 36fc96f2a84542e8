// Puts over gRPC, many at a time and without a process for each, until they are ended: a load.
// Every key is put once, and values are of all sizes up to `valueBytes`.

import { connect } from 'node:http2';

const PUT = '/etcdserverpb.KV/Put';
const TXN = '/etcdserverpb.KV/Txn';

/** As many as a transaction may hold. */
const TXN_OPS = 128;

export class Puts {
  constructor(url, prefix, { sideBySide = 20, valueBytes = 8000 } = {}) {
    this.prefix = prefix;
    this.valueBytes = valueBytes;
    /** Acknowledged: key to value. */
    this.acknowledged = new Map();
    /** How those ended whose fate is not known, or that were refused: key to gRPC's words. */
    this.others = new Map();
    this.going = true;
    this.count = 0;
    this.session = connect(url);
    this.session.on('error', () => (this.going = false));
    this.all = Promise.all(Array.from({ length: sideBySide }, () => this.write()));
  }

  async write() {
    while (this.going) {
      this.count += 1;
      const key = this.prefix + String(this.count).padStart(7, '0');
      const value = `${key} ${'x'.repeat((this.count * 997) % this.valueBytes)}`;
      const { status, words } = await put(this.session, key, value);
      if (status === 0) this.acknowledged.set(key, value);
      else this.others.set(key, words);
    }
  }

  async end() {
    this.going = false;
    await this.all;
    this.session.close();
  }
}

/** One put: `{ status, words }`, as gRPC says it. */
export function put(session, key, value) {
  return call(session, PUT, message([[1, key], [2, value]]));
}

/** Puts so many keys without a value, in transactions. */
export async function putMany(url, prefix, count) {
  const session = connect(url);
  let done = 0;
  const write = async () => {
    while (done < count) {
      const ops = [];
      for (let n = 0; n < TXN_OPS && done < count; n += 1) {
        const key = prefix + String(done).padStart(7, '0');
        ops.push([2, message([[2, message([[1, key]])]])]);
        done += 1;
      }
      const { status, words } = await call(session, TXN, message(ops));
      if (status !== 0) throw new Error(`a transaction ended with ${words}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, write));
  session.close();
}

/** One call: `{ status, words }`, as gRPC says it. */
function call(session, path, request) {
  return new Promise((resolve) => {
    const failed = (error) => resolve({ status: -1, words: error?.message ?? 'no answer' });
    if (session.closed || session.destroyed) {
      failed();
      return;
    }
    const headers = { ':method': 'POST', ':path': path, te: 'trailers' };
    const stream = session.request({ ...headers, 'content-type': 'application/grpc' });
    const said = (of) => {
      if (of['grpc-status'] === undefined) return;
      const words = decodeURIComponent(of['grpc-message'] ?? '');
      resolve({ status: Number(of['grpc-status']), words });
    };
    stream.on('response', said);
    stream.on('trailers', said);
    stream.on('error', failed);
    stream.on('close', failed);
    stream.resume();
    stream.end(framed(request));
  });
}

// A protobuf message of texts and messages.
function message(fields) {
  return Buffer.concat(fields.flatMap(([number, value]) => {
    const bytes = Buffer.from(value);
    return [Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes];
  }));
}

// In gRPC's frame.
function framed(body) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function varint(number) {
  const bytes = [];
  for (let rest = number; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}
