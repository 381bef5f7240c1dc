// @ts-check
/** What `drive.mjs` looks at of the history on disk: longer spans, the moment of an old alert, alerts in pages, a full disk. */

import { serve } from './backend.mjs';

/** @import { Browser, Page } from 'playwright-core' */

/**
 * @typedef {{
 *   open: (browser: Browser, url: string, theme: 'dark' | 'light', size: readonly [number, number]) => Promise<Page>,
 *   axe: (page: Page, name: string) => Promise<void>,
 *   expect: (holds: boolean, words: string) => void,
 *   shot: (page: Page, name: string) => Promise<unknown>,
 * }} Tools
 */

/** @param {Browser} browser @param {Tools} tools */
export async function past(browser, tools) {
  const { url, close, world } = await serve({ targets: 12 });
  for (const size of /** @type {const} */ ([[1280, 800], [390, 844]])) await spans(browser, tools, url, size);
  await alerts(browser, tools, url);
  await fullDisk(browser, tools, url, world);
  world.history = null;
  const page = await tools.open(browser, `${url}#/target/uid-3`, 'light', [1280, 800]);
  await page.waitForSelector('.u-over');
  tools.expect((await page.locator('button:has-text("7 d")').count()) === 0, 'without a history there are no spans beyond an hour');
  await page.context().close();
  close();
}

/** @param {Browser} browser @param {Tools} tools @param {string} url @param {readonly [number, number]} size */
async function spans(browser, { open, axe, expect, shot }, url, size) {
  const page = await open(browser, `${url}#/target/uid-3`, size[0] > 1000 ? 'dark' : 'light', size);
  for (const [words, step] of [['6 h', '10 s'], ['7 d', '5 min']]) {
    await page.click(`button:has-text("${words}")`);
    await page.waitForSelector(`.past .tools:has-text("each point the highest of ${step}") ~ .charts .u-over`);
    expect((await page.locator('.moved').count()) === 0, `${words} are drawn in steps of ${step}, ${size[0]} px`);
  }
  await page.waitForTimeout(300);
  await shot(page, `past-${size[0]}`);
  await axe(page, `past-${size[0]}`);
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(beyond <= 0, `nothing is wider than the window: past-${size[0]} (${beyond} px)`);
  for (let zoom = 0; zoom < 4; zoom += 1) await page.click('.past button[aria-label="Zoom in"]');
  await page.waitForSelector('.past .tools:has-text("the highest of 30 s"), .past .tools:has-text("the highest of 10 s")');
  expect(true, 'what is zoomed into is read again in finer steps');
  await page.click('button:has-text("5 min")');
  await page.waitForSelector('.moved');
  expect(true, 'and the live charts are back');
  await page.context().close();
}

/** @param {Browser} browser @param {Tools} tools @param {string} url */
async function alerts(browser, { open, expect, axe }, url) {
  const page = await open(browser, `${url}#/alerts`, 'light', [1280, 800]);
  const total = () => page.textContent('.tools [role=status]').then((text) => Number(/of ([\d,]+) alerts/.exec(text ?? '')?.[1]?.replace(',', '')));
  await page.waitForSelector('.alert-list li');
  const before = await total();
  while ((await page.locator('button:has-text("Show more")').count()) > 0) await page.click('button:has-text("Show more")');
  await page.click('button:has-text("Read older ones")');
  await page.waitForFunction((least) => Number(/of ([\d,]+) alerts/.exec(document.querySelector('.tools [role=status]')?.textContent ?? '')?.[1]?.replace(',', '')) > least, before);
  expect((await total()) > before, `older alerts are read from disk: ${before}, then ${await total()}`);
  await axe(page, 'alerts from disk');
  await page.locator('.alert-list li a.name').last().click();
  await page.waitForSelector('.past .charts .u-over');
  expect(true, 'the chart at the moment of an alert of which nothing is in memory is drawn from disk');
  await page.context().close();
}

/** @param {Browser} browser @param {Tools} tools @param {string} url @param {{history: 'Good' | 'Failing' | 'Damaged' | null}} world */
async function fullDisk(browser, { open, expect, axe, shot }, url, world) {
  const page = await open(browser, url, 'dark', [1280, 800]);
  await page.waitForSelector('.targets .c-name a');
  world.history = 'Failing';
  await page.waitForSelector('.banner:has-text("disk is full")');
  expect((await page.getAttribute('main', 'class')) !== 'stale', 'a disk that is full is said to be so, and the page goes on');
  await shot(page, 'full-dark-1280');
  await axe(page, 'full disk');
  world.history = 'Good';
  await page.waitForSelector('.banner', { state: 'hidden' });
  expect(true, 'and no longer, once there is room');
  await page.context().close();
}
