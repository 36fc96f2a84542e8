// What `cargo xtask test` prepared, and names in the environment.

import { existsSync } from 'node:fs';

/** The path in a variable, or an error that says what sets it. */
export function need(name) {
  const path = process.env[name];
  if (!path || !existsSync(path)) {
    throw new Error(`${name} names nothing; run the tests by: cargo xtask test --only browser`);
  }
  return path;
}
