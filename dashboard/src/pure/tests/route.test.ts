import { expect, test } from 'vitest';
import { href, parse } from '../route';

test('an address leads to its page and back', () => {
  const uid = 'netns:a/b?c#d é<img>';
  for (const route of [{ page: 'overview' }, { page: 'alerts' }, { page: 'policies' }, { page: 'nodes' }, { page: 'overview', node: 'node-1.example' }, { page: 'target', uid, at: null }, { page: 'target', uid, at: 1_700_000_000 }, { page: 'try', uid: null, rule: null }, { page: 'try', uid, rule: 'shop/checkout/rtt' }] as const) {
    expect(parse(href(route))).toEqual(route);
  }
});

test.each(['#/nowhere', '#/target/', '#/target/a/b', '#/target/%E0%A4%A', `#/target/${'x'.repeat(600)}`])('%s is no page', (hash) => {
  expect(parse(hash).page).toBe('unknown');
});

test.each(['', '#', '#/'])('"%s" is the overview', (hash) => expect(parse(hash)).toEqual({ page: 'overview' }));

test.each(['at=0', 'at=-5', 'at=x', 'at=1e400'])('a moment that is none is left out: %s', (query) => {
  expect(parse(`#/target/a?${query}`)).toEqual({ page: 'target', uid: 'a', at: null });
});
