// @ts-check
/**
 * Takes the pictures in README.md and docs/dashboard.md, when one target is in trouble and others are warned of: the overview,
 * and the target with the signals that moved before its RTT.
 *
 *     node dev/picture.mjs [--out DIR] [--chromium FILE] [--url URL]
 *
 * Without `--url` the data are those of the imagined node; with it those of a dashboard that runs, such as the one of `make demo`.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './backend.mjs';

/** @import { Overview } from '../src/api' */

const { values } = parseArgs({
  options: { out: { type: 'string', default: '../docs/img' }, chromium: { type: 'string', default: '/usr/bin/chromium' }, url: { type: 'string' } },
});
/** Milliseconds in which there is trouble: the whole demo is shorter. */
const PATIENCE = 10 * 60_000;

/** The identifier of the target that is most surely in trouble, if there is one and others are warned of. @param {string} url */
async function trouble(url) {
  const { counts, latest, targets } = /** @type {Overview} */ (await (await fetch(`${url}api/v1/overview`)).json());
  const certain = (/** @type {number} */ at) => (latest.standing[at] === 'Trouble' ? (latest.chance[at] ?? 0) : 0);
  const [worst] = targets.map((target, at) => ({ uid: target.uid, chance: certain(at) })).sort((a, b) => b.chance - a.chance);
  return worst?.chance && counts.warning > 1 ? worst.uid : null;
}

const imagined = values.url ? null : await serve({ targets: 110, plain: true });
const url = values.url ?? imagined?.url ?? '';
const browser = await chromium.launch({ executablePath: values.chromium, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ colorScheme: 'light', viewport: { width: 1280, height: 800 } });
  await page.goto(url);
  await page.waitForSelector('.targets .c-name a');
  const begun = Date.now();
  let uid = null;
  while (!uid) {
    if (Date.now() - begun > PATIENCE) throw new Error(`expected a target of ${url} in trouble and others warned of, got none in ${PATIENCE / 60_000} minutes`);
    // Rows that have come to the top get their sparklines meanwhile.
    await page.waitForTimeout(2200);
    uid = await trouble(url);
  }
  await page.screenshot({ path: join(values.out, 'dashboard.png') });
  await page.evaluate((hash) => { location.hash = hash; }, `#/target/${encodeURIComponent(uid)}`);
  await page.waitForSelector('.moved li .u-over');
  await page.setViewportSize({ width: 1280, height: 1100 });
  await page.waitForTimeout(1200);
  await page.screenshot({ path: join(values.out, 'target.png') });
} finally {
  await browser.close();
  imagined?.close();
}
process.stdout.write(`dashboard.png and target.png in ${values.out}\n`);
