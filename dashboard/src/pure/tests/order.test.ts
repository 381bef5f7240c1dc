import { expect, test } from 'vitest';
import { arrange, haystack, matches, type Filter, type Order } from '../order';
import { chosen } from '../alerts';
import { visible } from '../visible';
import { alert, latest, target } from './samples';

const ALL: Filter = { text: '', standing: 'all' };
const targets = ['web10', 'web9', 'api'].map((name) => target(name));
const stacks = targets.map(haystack);
const names = (rows: number[]) => rows.map((at) => targets[at]?.name);
const by = (key: Order['key'], descending = false): Order => ({ key, descending });

test('names are in the order of their numbers', () => {
  expect(names(arrange(targets, stacks, latest({}, 3), ALL, by('name')))).toEqual(['api', 'web9', 'web10']);
});

test('what is in trouble comes first, then what is likely to be', () => {
  const seen = latest({ standing: ['Calm', 'Trouble', 'Calm'], chance: [0.4, 0.1, 0.02] }, 3);
  expect(names(arrange(targets, stacks, seen, ALL, by('urgency')))).toEqual(['web9', 'web10', 'api']);
});

test('small changes of a chance move no row', () => {
  const seen = (chance: number[]) => arrange(targets, stacks, latest({ chance }, 3), ALL, by('urgency'));
  expect(seen([0.02, 0.05, 0.01])).toEqual(seen([0.04, 0.01, 0.06]));
});

test('what has no value comes last in either direction', () => {
  const seen = latest({ measuredUs: [null, 30, 10] }, 3);
  expect(names(arrange(targets, stacks, seen, ALL, by('measured')))).toEqual(['api', 'web9', 'web10']);
  expect(names(arrange(targets, stacks, seen, ALL, by('measured', true)))).toEqual(['web9', 'api', 'web10']);
});

test('a filter finds labels, policies and parts of names, every word of it', () => {
  const stack = haystack(target('web1', { labels: { app: 'checkout' }, namespace: 'shop', aliases: ['blue'] }));
  for (const text of ['WEB', 'app=checkout', 'shop p/rtt', 'blue web1']) expect(matches(stack, text)).toBe(true);
  expect(matches(stack, 'web1 cart')).toBe(false);
});

test('the tiles and the text narrow together', () => {
  const seen = latest({ standing: ['Warning', 'Pending', 'Warning'] }, 3);
  expect(names(arrange(targets, stacks, seen, { text: 'web', standing: 'warning' }, by('name')))).toEqual(['web9', 'web10']);
  expect(arrange(targets, stacks, seen, { text: '', standing: 'trouble' }, by('name'))).toEqual([]);
});

test('a node and a namespace narrow to what is there', () => {
  const placed = [target('a', { node: 'n1', namespace: 'shop' }), target('b', { node: 'n2', namespace: 'shop' }), target('c', { node: 'n2', namespace: 'bank' })];
  const shown = (filter: Partial<Filter>) => arrange(placed, placed.map(haystack), latest({}, 3), { ...ALL, ...filter }, by('name'));
  expect(shown({ node: 'n2' })).toEqual([1, 2]);
  expect(shown({ node: 'n2', namespace: 'bank' })).toEqual([2]);
  expect(shown({ node: null, namespace: null })).toEqual([0, 1, 2]);
});

test('alerts: firing ones first, then the newest; filtered by outcome and cause', () => {
  const cause = { group: 'Queue', feature: 'qdisc_backlog_bytes', unit: 'bytes', value: 1, baseline: 0, sharePercent: 60 };
  const all = [alert({ name: 'old', firedUnix: 1 }), alert({ name: 'new', firedUnix: 9, confirmed: 'True' }), alert({ name: 'out', state: 'Firing', firedUnix: 5, causes: [cause] })];
  const found = (text: string, verdict: 'all' | 'confirmed' = 'all') => chosen(all, { text, state: 'all', verdict }).map(({ name }) => name);
  expect(found('')).toEqual(['out', 'new', 'old']);
  expect(found('queue')).toEqual(['out']);
  expect(found('', 'confirmed')).toEqual(['new']);
});

test('rows beyond the edges are drawn, and no others', () => {
  const seen = visible(10_000, 44, 44_000, 440);
  expect(seen.first).toBeLessThanOrEqual(1000);
  expect(seen.end).toBeGreaterThanOrEqual(1010);
  expect(seen.end - seen.first).toBeLessThan(40);
  expect(seen.before + seen.after + (seen.end - seen.first) * 44).toBe(10_000 * 44);
});

test('a list that became shorter than it is scrolled shows its end', () => {
  expect(visible(3, 44, 44_000, 440)).toEqual({ first: 0, end: 3, before: 0, after: 0 });
  expect(visible(0, 44, 100, 440)).toEqual({ first: 0, end: 0, before: 0, after: 0 });
});
