// @ts-check
/**
 * Drives the built page in a headless Chromium against an imagined node: every page in dark and light, 1280 and 390 px wide,
 * with axe-core on each; then what has to hold whatever is looked at. Screenshots go to `--out`.
 *
 *     node dev/drive.mjs [--out DIR] [--chromium FILE] [--url URL]
 *
 * With `--url` it drives a dashboard that runs already, and leaves out what only an imagined node can show. How long something
 * takes is printed and never judged: a busy machine is no defect of the page.
 */

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './backend.mjs';
import { past } from './past.mjs';
import { HOSTILE, LONG } from './world.mjs';

/** @import { Browser, Page } from 'playwright-core' */
/** @import { Alerts, Overview } from '../src/api' */

const { values } = parseArgs({
  options: { out: { type: 'string', default: '../out/dashboard' }, chromium: { type: 'string', default: '/usr/bin/chromium' }, url: { type: 'string' } },
});
mkdirSync(values.out, { recursive: true });
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const WIDTHS = /** @type {const} */ ([[1280, 800], [390, 844]]);
/** Milliseconds after which something will never come. */
const PATIENCE = 120_000;
/** @type {string[]} */
const findings = [];

/** @param {boolean} holds @param {string} words */
function expect(holds, words) {
  process.stdout.write(`${holds ? 'ok  ' : 'FAIL'} ${words}\n`);
  if (!holds) findings.push(words);
}

/** @param {string} words */
function say(words) {
  process.stdout.write(`     ${words}\n`);
}

/** @param {Browser} browser @param {string} url @param {'dark' | 'light'} theme @param {readonly [number, number]} size */
async function open(browser, url, theme, [width, height]) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height }, bypassCSP: false });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !/400|401|404|503|ERR_/.test(message.text())) expect(false, `console at ${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => expect(false, `exception at ${page.url()}: ${error.message}`));
  const { origin } = new URL(url);
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) expect(false, `external request: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

/** @param {Page} page @param {string} name */
async function axe(page, name) {
  // By the debugger, because the page's policy allows no script of another origin.
  const source = (await import('node:fs')).readFileSync(AXE, 'utf8');
  await page.evaluate(source);
  const violations = await page.evaluate(async () => {
    const { violations: found } = await /** @type {any} */ (globalThis).axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return found.map((/** @type {any} */ each) => `${each.id}: ${each.help} (${each.nodes.length}): ${each.nodes[0].target} ${each.nodes[0].failureSummary}`);
  });
  expect(violations.length === 0, `axe: ${name}${violations.map((/** @type {string} */ each) => `\n       ${each}`).join('')}`);
}

/** The overview, once the agent's targets are known. @param {string} url */
async function known(url) {
  const begun = Date.now();
  for (;;) {
    const overview = /** @type {Overview} */ (await (await fetch(`${url}api/v1/overview`)).json());
    if (overview.targets.length) return overview;
    if (Date.now() - begun > PATIENCE) throw new Error(`got no targets from ${url}: ${overview.source.reason}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** @param {string} url */
async function places(url) {
  const overview = await known(url);
  const { alerts } = /** @type {Alerts} */ (await (await fetch(`${url}api/v1/alerts`)).json());
  const worst = overview.latest.standing.findIndex((each) => each === 'Trouble');
  const uid = encodeURIComponent(overview.targets[Math.max(0, worst)]?.uid ?? '');
  // The dashboard of an agent begins with the agent's own five minutes; the chart shows two before the alert and one after.
  const past = alerts.find(({ confirmed, firedUnix }) => confirmed === 'True' && firedUnix < overview.unix - 70 && firedUnix > overview.unix - 170);
  return /** @type {[string, string, string][]} */ ([
    ['overview', '#/', '.targets .c-name a'],
    ['target', `#/target/${uid}`, '.u-over'],
    ...(past ? [['moment', `#/target/${encodeURIComponent(past.targetUid)}?at=${past.firedUnix}`, '.u-over']] : []),
    ['alerts', '#/alerts', '.alert-list li, .empty'],
    ['policies', '#/policies', '.rule, .policy, .empty'],
    ['nodes', '#/nodes', '.node-list li, .empty'],
    ['try', `#/try?uid=${uid}`, '.tried:not(.outdated) .facts'],
  ]);
}

/** @param {Browser} browser @param {string} url @param {string} [of] */
async function lookAtEach(browser, url, of = '') {
  for (const theme of /** @type {const} */ (['light', 'dark'])) {
    for (const size of WIDTHS) {
      const page = await open(browser, url, theme, size);
      for (const [name, hash, ready] of await places(url)) {
        await page.evaluate((to) => { location.hash = to; }, hash);
        await page.waitForSelector(ready);
        // Two seconds of the stream and the sparklines of what is shown.
        await page.waitForTimeout(2200);
        const shot = `${of}${name}-${theme}-${size[0]}`;
        await page.screenshot({ path: join(values.out, `${shot}.png`) });
        await axe(page, shot);
        if (name === 'target') {
          await page.locator('.moved').evaluate((element) => element.scrollIntoView());
          await page.waitForTimeout(300);
          await page.screenshot({ path: join(values.out, `${of}moved-${theme}-${size[0]}.png`) });
        }
        const beyond = await page.evaluate(() => {
          const main = document.querySelector('main');
          // Its content scrolls apart, so that the window does not show what is too wide.
          return Math.max(document.documentElement.scrollWidth - innerWidth, main ? main.scrollWidth - main.clientWidth : 0);
        });
        expect(beyond <= 0, `nothing is wider than the window: ${shot} (${beyond} px)`);
      }
      await page.context().close();
    }
  }
}

/** @param {Browser} browser @param {string} url */
async function firstPaint(browser, url) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector('.targets .c-name a')) return;
      observer.disconnect();
      requestAnimationFrame(() => performance.mark('rows'));
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName('rows').length > 0);
  const ms = await page.evaluate(() => performance.getEntriesByName('rows')[0]?.startTime ?? Infinity);
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity);
  say(`110 targets: first paint after ${Math.round(paint)} ms, rows after ${Math.round(ms)} ms`);
  await page.context().close();
}

/** @param {Browser} browser */
async function hostileNames(browser) {
  const { url, close } = await serve({ targets: 12 });
  const page = await open(browser, url, 'light', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  const names = await page.$$eval('.targets .c-name a', (links) => links.map((link) => link.textContent));
  expect(names.includes(HOSTILE) && names.includes(LONG), 'names of markup and of 253 characters are text');
  await page.goto(`${url}#/target/uid-4`);
  await page.waitForSelector('.u-over');
  expect((await page.textContent('h1')) === HOSTILE && !(await page.title()).includes('owned'), 'markup is text as a heading, too');
  await page.goto(`${url}#/target/nobody`);
  await page.waitForSelector('.empty:has-text("not known")');
  expect(true, 'a target that is not known is said to be so');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function manyTargets(browser) {
  const { url, close } = await serve({ targets: 10_000, cluster: true });
  const page = await open(browser, url, 'dark', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  const rows = await page.$$eval('.targets tr.target', (all) => all.length);
  expect(rows < 80, `of 10,000 rows ${rows} are in the document`);
  const busy = await page.evaluate(async () => {
    let longest = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration); }).observe({ type: 'longtask' });
    const box = document.querySelector('.scroller');
    for (let step = 0; step < 40; step += 1) {
      if (box) box.scrollTop = step * 10_000;
      await new Promise((done) => setTimeout(done, 75));
    }
    return longest;
  });
  say(`scrolling through 10,000 rows blocks for at most ${Math.round(busy)} ms`);
  await page.screenshot({ path: join(values.out, 'many-dark-1280.png') });
  await page.fill('input[type=search]', 'node3 checkout 999');
  await page.waitForFunction(() => document.querySelectorAll('.targets tr.target').length < 20);
  expect(true, 'a filter of several words narrows 10,000 rows');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function cluster(browser) {
  const { url, close } = await serve({ targets: 110, cluster: true });
  await lookAtEach(browser, url, 'cluster-');
  const page = await open(browser, url, 'light', [1280, 800]);
  await page.waitForSelector('.streams:has-text("Live from 4 of 6 agents")');
  expect((await page.textContent('.streams .note'))?.includes('connection refused') ?? false, 'a node that is not heard is named with the reason');
  expect((await page.textContent('.banner.notes'))?.includes('clusterprecursorpolicies') ?? false, 'a right that is missing is named');
  await page.selectOption('.tools select >> nth=1', 'node2');
  await page.waitForFunction(() => [...document.querySelectorAll('.targets td.c-node')].every((cell) => cell.textContent === 'node2'));
  expect(page.url().endsWith('#/?node=node2'), 'a node that is chosen is part of the address');
  await page.goto(`${url}#/nodes`);
  await page.waitForSelector('.node-list li');
  const names = await page.$$eval('.node-list .name', (all) => all.map((name) => name.textContent));
  expect(names.includes(HOSTILE) && !(await page.title()).includes('owned'), 'a node whose name is markup is text');
  await page.fill('input[type=search]', 'insufficient memory');
  await page.waitForFunction(() => document.querySelectorAll('.node-list li.node').length === 1);
  expect(true, 'nodes are found by their trouble');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function edges(browser) {
  const { url, close } = await serve({ targets: 110 });
  const page = await open(browser, url, 'light', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  /** @type {Map<string, Set<string>>} */
  const looks = new Map();
  for (let second = 0; second < 10; second += 1) {
    const rows = await page.$$eval('.targets tr.target', (all) => all.map((row) => [row.className, getComputedStyle(row.querySelector('td') ?? row).boxShadow]));
    for (const [name = '', shadow = ''] of rows) looks.set(name, (looks.get(name) ?? new Set()).add(shadow));
    await page.waitForTimeout(1000);
  }
  expect([...looks.values()].every((all) => all.size === 1), `the edges of rows follow their states: ${[...looks].map(([name, all]) => `${name} ${[...all].join(' or ')}`).join(', ')}`);
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function staleness(browser) {
  const { url, close, world } = await serve({ targets: 12 });
  const page = await open(browser, url, 'dark', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  world.isStale = true;
  await page.waitForSelector('.banner:has-text("connection refused")');
  expect((await page.getAttribute('main', 'class')) === 'stale', 'an agent that is gone is said to be, with the reason');
  await page.screenshot({ path: join(values.out, 'stale-dark-1280.png') });
  world.isStale = false;
  await page.waitForSelector('.banner', { state: 'hidden' });
  world.isSilent = true;
  await page.waitForSelector('.banner:has-text("does not answer")');
  world.isSilent = false;
  await page.waitForSelector('.banner', { state: 'hidden' });
  expect(true, 'a stream that falls silent is opened again');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function neverOpen(browser) {
  const { url, close, world } = await serve({ targets: 12 });
  world.isFull = true;
  const page = await open(browser, url, 'light', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  await page.waitForSelector('.banner:has-text("stands still")');
  expect((await page.getAttribute('main', 'class')) === 'stale', 'a stream that never opens is said to be so');
  world.isFull = false;
  await page.waitForSelector('.banner', { state: 'hidden' });
  expect((await page.getAttribute('main', 'class')) !== 'stale', 'it is opened once there is room');
  for (const [name, hash, ready] of /** @type {const} */ ([['alerts', '#/alerts', '.alert-list li'], ['target', '#/target/uid-1', '.u-over'], ['policies', '#/policies', '.rule'], ['nodes', '#/nodes', '.node-list li'], ['overview', '#/', '.targets .c-name a']])) {
    world.failing = name;
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.waitForSelector('.empty:has-text("more to do")');
    world.failing = '';
    await page.waitForSelector(ready);
    expect(true, `what fails once is read again: ${name}`);
  }
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function keyboard(browser) {
  const { url, close } = await serve({ targets: 30 });
  const page = await open(browser, url, 'light', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  await page.focus('.targets .c-name a');
  const focused = () => page.evaluate(() => document.activeElement?.closest('tr')?.getAttribute('aria-rowindex'));
  const first = await focused();
  await page.keyboard.press('ArrowDown');
  expect(Number(await focused()) === Number(first) + 1, 'arrow keys move along the rows');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.u-over');
  expect((await page.evaluate(() => document.activeElement?.id)) === 'main', 'a new page has the focus');
  await page.focus('.chart');
  const before = await page.textContent('.readout b');
  for (let step = 0; step < 5; step += 1) await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((text) => document.querySelector('.readout b')?.textContent !== text, before);
  const wide = await page.textContent('.tools > .soft');
  await page.keyboard.press('+');
  await page.waitForFunction((text) => document.querySelector('.tools > .soft')?.textContent !== text, wide);
  expect(true, 'a chart is read and zoomed by keys');
  await page.keyboard.press('Escape');
  const box = await page.locator('.u-over').first().boundingBox();
  if (box) {
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    await page.mouse.up();
  }
  await page.waitForSelector('button:has-text("Follow")');
  expect(true, 'a chart is zoomed by dragging');
  await page.screenshot({ path: join(values.out, 'zoomed-light-1280.png') });
  // Off the charts, where the readout is that of the last second.
  await page.click('button:has-text("Follow")');
  await page.mouse.move(0, 0);
  const readout = () => page.textContent('.readout');
  const changed = (/** @type {string | null} */ from) => page.waitForFunction((text) => document.querySelector('.readout')?.textContent !== text, from);
  await changed(await readout());
  await page.click('button:has-text("Pause")');
  const paused = await readout();
  const second = await page.textContent('.chip .wide');
  // The header goes on, so that two seconds have come that the charts do not show.
  for (let seconds = 0, last = second; seconds < 2; seconds += 1) {
    await page.waitForFunction((text) => document.querySelector('.chip .wide')?.textContent !== text, last);
    last = await page.textContent('.chip .wide');
  }
  expect((await readout()) === paused, 'a pause holds the charts while seconds come');
  await page.click('button:has-text("Go on")');
  await changed(paused);
  expect(true, 'and they go on behind it');
  await page.click('button[aria-label^="Theme"]');
  await page.waitForSelector('html[data-theme=dark]');
  expect(true, 'the theme can be chosen');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function trial(browser) {
  const { url, close } = await serve({ targets: 30 });
  const page = await open(browser, url, 'light', [1280, 1600]);
  const settled = () => page.waitForSelector('.tried:not(.outdated) .facts');
  const alerts = async () => Number(await page.textContent('.facts div:nth-child(5) dd'));
  /** Waits until a trial of something else is answered. @param {() => Promise<unknown>} change */
  const tried = async (change) => {
    const answered = page.waitForResponse((response) => response.url().endsWith('/api/v1/try') && response.request().method() === 'POST');
    await change();
    await answered;
    await settled();
  };
  await page.waitForSelector('.targets .c-name a');
  await page.goto(`${url}#/policies`);
  await page.click('.rule a:has-text("Try")');
  await settled();
  expect((await page.inputValue('input[aria-label="Threshold in ms"]')) === '200', 'a policy is tried from its own threshold');
  const before = await alerts();
  const threshold = page.locator('input[type=range][aria-label=Threshold]');
  await threshold.focus();
  await tried(async () => { for (let step = 0; step < 180; step += 1) await page.keyboard.press('ArrowLeft'); });
  const words = await threshold.getAttribute('aria-valuetext');
  expect(words === '25 ms' && (await page.inputValue('input[aria-label="Threshold in ms"]')) === '25.1', `arrow keys move the threshold: ${words}`);
  expect((await alerts()) > before, `a lower threshold fires more often: ${before}, then ${await alerts()}`);
  await page.screenshot({ path: join(values.out, 'trial-light-1280.png') });
  const yaml = () => page.textContent('.written pre');
  expect((await yaml())?.includes('threshold: 25ms100us') ?? false, 'and is the one of the YAML');
  await tried(() => page.fill('input[aria-label="Confidence in percent"]', '80'));
  expect((await yaml())?.includes('minConfidencePercent: 80') ?? false, 'a confidence is typed');
  await page.fill('input[aria-label="Confidence in percent"]', '800');
  expect((await page.getAttribute('input[aria-label="Confidence in percent"]', 'aria-invalid')) === 'true', 'one out of range is marked, and not sent');
  await tried(() => page.click('.outcomes button:has-text("30 %")'));
  expect((await page.inputValue('input[type=range][aria-label=Confidence]')) === '30', 'a row of the table is chosen');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.click('button:has-text("Copy YAML")');
  await page.waitForSelector('.code [role=status]:has-text("Copied")');
  expect((await page.evaluate(() => navigator.clipboard.readText())) === (await yaml()), 'the policy is copied');
  const name = page.locator('.written .field:has-text("Name") input').first();
  await name.fill('No name');
  await name.press('Enter');
  await page.waitForSelector('.note:has-text("metadata.name")');
  expect(await page.isDisabled('button:has-text("Copy YAML")'), 'what is refused is said, and its YAML is none to copy');
  await name.fill('checkout-tried');
  await tried(() => name.press('Enter'));
  await tried(() => page.selectOption('.field:has-text("Seconds") select', 'r load-test'));
  expect((await page.textContent('.readout b'))?.includes('0:00 to') ?? false, 'a recording without a clock counts from its beginning');
  await page.click('.fired button');
  await page.waitForSelector('button:has-text("Show all")');
  expect(true, 'an alert that would have fired is shown on the chart');
  await axe(page, 'trial of a recording');
  close();
  await page.context().close();
}

/** @param {Browser} browser */
async function token(browser) {
  const { url, close, world } = await serve({ targets: 12, token: 'right' });
  const page = await open(browser, url, 'light', [390, 844]);
  await page.waitForSelector('input[type=password]');
  await axe(page, 'sign-in');
  await page.fill('input[type=password]', 'wrong');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.note:has-text("another token")');
  await page.screenshot({ path: join(values.out, 'token-light-390.png') });
  await page.fill('input[type=password]', 'right');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.targets .c-name a');
  expect(true, 'a token is asked for, a wrong one refused, the right one taken');
  world.token = 'another';
  world.drop();
  await page.waitForSelector('input[type=password]');
  await page.fill('input[type=password]', 'another');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.targets .c-name a');
  await page.waitForSelector('.banner', { state: 'hidden' });
  expect(true, 'a page that is open asks for the token when it is another');
  close();
  await page.context().close();
}

const browser = await chromium.launch({ executablePath: values.chromium, args: ['--no-sandbox'] });
try {
  if (values.url) {
    const { source } = await known(values.url);
    expect(source.state === 'Live', `the agent is followed: ${source.state}${source.reason ? `, ${source.reason}` : ''}`);
    await lookAtEach(browser, values.url);
  } else {
    const { url, close } = await serve({ targets: 110 });
    await firstPaint(browser, url);
    await lookAtEach(browser, url);
    close();
    for (const check of [cluster, hostileNames, manyTargets, edges, staleness, neverOpen, keyboard, trial, token]) await check(browser);
    await past(browser, { open, axe, expect, shot: (page, name) => page.screenshot({ path: join(values.out, `${name}.png`) }) });
  }
} finally {
  await browser.close();
}
// Once more at the end, which is what a log shows of a failure.
for (const words of findings) process.stdout.write(`FAIL ${words}\n`);
process.stdout.write(findings.length ? `${findings.length} findings; screenshots in ${values.out}\n` : `all is well; screenshots in ${values.out}\n`);
process.exitCode = findings.length ? 1 : 0;
