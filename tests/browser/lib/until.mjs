// Waiting by condition. The bounds are there so that a test that fails ends; they are wide, because
// the machine may be slow, and no test proves its point by them.

/** How long a condition may take unless the test says otherwise. */
export const PATIENCE_MS = 30_000;

const LOOK_EVERY_MS = 50;

export const sleep = (ms) => new Promise((resume) => setTimeout(resume, ms));

/**
 * Looks again and again until `look` answers something true, and answers that. Whatever `look`
 * throws counts as "not yet".
 */
export async function until(what, look, within = PATIENCE_MS) {
  const end = performance.now() + within;
  let last;
  do {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await sleep(LOOK_EVERY_MS);
  } while (performance.now() < end);
  const seen = last instanceof Error ? last.message : JSON.stringify(last);
  throw new Error(`waited ${within} ms for ${what}; last seen: ${seen}`);
}
