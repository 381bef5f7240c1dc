// @ts-check
/**
 * Stands for `netprecursor dashboard` while the page is worked on: the same API (`src/api.ts`) over an imagined node, and
 * the built page with the headers that the program sends. No part of the product.
 *
 *     node dev/backend.mjs [--targets N] [--port N] [--cluster] [--token TOKEN]
 */

import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as trial from './trial.mjs';
import * as world from './world.mjs';

/** @import { About, Alerts, ClusterStreams, Counts, History, Latest, Live, Models, Nodes, Overview, Policies, RangeAnswer, SignalHistory, Source, Sparks, Standing, TargetHistory } from '../src/api' */

/** The same as the program sends. */
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = /** @type {Record<string, string>} */ ({ html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' });
const HOUR = 3600;

/** @param {Latest} latest @returns {Counts} */
function count({ standing }) {
  /** @param {Standing[]} which */
  const of = (...which) => standing.filter((each) => which.includes(each)).length;
  return { trouble: of('Trouble'), warning: of('Warning', 'Pending'), calm: of('Calm', 'Recovering'), waiting: of('Waiting', 'Unselected', 'Stale') };
}

/**
 * @param {{targets: number, cluster?: boolean, plain?: boolean, token?: string, port?: number}} options
 * @returns {Promise<{url: string, close: () => void, world: typeof state}>}
 */
export function serve({ targets: amount, cluster = false, plain = false, token, port = 0 }) {
  const roster = world.targets(amount, cluster, plain);
  const state = {
    isStale: false, isSilent: false,
    /** As many pages follow as may. */
    isFull: false,
    token,
    /** What is asked for in vain. */
    failing: '',
    /** How the history on disk is doing; none without one. @type {History['state'] | null} */
    history: 'Good',
    /** Ends all connections, as a program does that is started anew. */
    drop: () => server.closeAllConnections(),
  };
  const now = () => Math.floor(Date.now() / 1000);
  const began = now();
  /** @returns {Source} */
  const source = () => ({
    state: state.isStale ? 'Stale' : 'Live', url: 'http://127.0.0.1:9470', since: began,
    reason: state.isStale ? 'got no connection to http://127.0.0.1:9470 (connection refused), expected an agent' : null,
    agentVersion: '0.1.0', kernel: '6.18.4', lostTicks: 0,
  });
  /** Nothing of a node that is not heard. @returns {Latest} */
  const latestOf = () => {
    const latest = world.latest(amount, now());
    const isHeard = (/** @type {number} */ i) => roster[i]?.node !== world.SILENT;
    const known = (/** @type {(number | null)[]} */ values) => values.map((value, i) => (isHeard(i) ? value : null));
    return { measuredUs: known(latest.measuredUs), forecastUs: known(latest.forecastUs), chance: known(latest.chance), standing: latest.standing.map((each, i) => (isHeard(i) ? each : 'Stale')) };
  };
  /** @returns {History[]} */
  const history = () => (state.history == null ? [] : [{
    state: state.history, from: 'Store', place: '/var/lib/netprecursor/history.db', since: now() - 90,
    reason: state.history === 'Good' ? null : 'cannot write the history /var/lib/netprecursor/history.db (database or disk is full), expected free space',
    bytes: 74 << 20, limit: 256 << 20, oldest: now() - 7 * 24 * HOUR, evictedSeconds: 0, evictedAlerts: 0, evictedUntil: null, lost: 0,
  }]);
  /** @param {string | null} uid */
  const index = (uid) => roster.findIndex((target) => target.uid === uid);

  const brief = () => (cluster ? { nodes: world.nodes(now(), true).map(({ name, targets: count, firing, standing }) => ({ name, targets: count, firing, standing })) } : null);
  /** @returns {ClusterStreams} */
  const streams = () => ({ most: 8, able: 6, streams: world.streams(now()), notes: ['not permitted to list and watch clusterprecursorpolicies: forbidden; their conditions are not shown; targets and alerts are'] });
  /** @type {Record<string, (query: URLSearchParams) => unknown>} */
  const routes = {
    about: () => /** @type {About} */ ({ version: '0.1.0', horizonSeconds: 10, signals: world.SIGNALS }),
    overview: () => {
      const latest = latestOf();
      return /** @type {Overview} */ ({ unix: now(), source: source(), counts: count(latest), roster: 1, targets: roster, latest, notKept: 0, cluster: brief() });
    },
    sparks: (query) => {
      const [step, buckets] = [5, 60];
      const start = Math.floor(now() / step) * step - (buckets - 1) * step;
      const of = (/** @type {number} */ i, /** @type {'measuredUs' | 'q50Us' | 'chance'} */ key) =>
        Array.from({ length: buckets }, (_, b) => {
          const values = Array.from({ length: step }, (_, s) => start + b * step + s).filter((t) => t <= now()).map((t) => world.point(i, t)[key]);
          const known = values.filter((value) => value != null);
          return known.length ? Math.max(...known) : null;
        });
      const all = query.getAll('uid').slice(0, 100).map(index).filter((i) => i >= 0);
      return /** @type {Sparks} */ ({ sparks: all.map((i) => ({ uid: `uid-${i}`, start, step, measuredUs: of(i, 'measuredUs'), forecastUs: of(i, 'q50Us'), chance: of(i, 'chance') })) });
    },
    target: (query) => {
      const i = index(query.get('uid'));
      const target = roster[i];
      if (!target) return null;
      const start = now() - HOUR + 1;
      const points = Array.from({ length: HOUR }, (_, s) => world.point(i, start + s));
      return /** @type {TargetHistory} */ ({
        unix: now(), target, start, step: 1, measuredUs: points.map((p) => p.measuredUs), q50Us: points.map((p) => p.q50Us), q90Us: points.map((p) => p.q90Us),
        q99Us: points.map((p) => p.q99Us), chance: points.map((p) => p.chance), thresholdUs: points.map((p) => p.thresholdUs), firing: points.map((p) => p.firing),
      });
    },
    signals: (query) => {
      const i = index(query.get('uid'));
      if (i < 0) return null;
      const until = Math.min(Number(query.get('until')) || now(), now());
      const seconds = Math.min(Number(query.get('seconds')) || 600, HOUR);
      const all = Array.from({ length: seconds }, (_, s) => world.signals(i, until - seconds + 1 + s));
      return /** @type {SignalHistory} */ ({ uid: `uid-${i}`, start: until - seconds + 1, signals: world.SIGNALS.map((_, s) => all.map((values) => values[s] ?? null)), oldest: now() - HOUR });
    },
    range: (query) => {
      const i = index(query.get('uid'));
      const target = roster[i];
      if (!target || state.history == null) return null;
      const until = Number(query.get('until')) || now();
      const from = Number(query.get('from')) || until - HOUR + 1;
      const step = Number(query.get('step')) || ([1, 10, 30, 60, 300, 600].find((each) => (until - from) / each <= HOUR) ?? HOUR);
      const start = from - (from % step);
      // A few seconds of each step: what is imagined is smooth.
      const every = Math.max(1, Math.floor(step / 5));
      const points = Array.from({ length: Math.min(HOUR, Math.floor((until - start) / step) + 1) }, (_, s) =>
        Array.from({ length: Math.ceil(step / every) }, (_, e) => world.point(i, start + s * step + e * every)));
      /** @param {'measuredUs' | 'q50Us' | 'q90Us' | 'q99Us' | 'chance'} key */
      const column = (key) => points.map((seconds) => {
        const known = seconds.map((each) => each[key]).filter((value) => value != null);
        return known.length ? Math.max(...known) : null;
      });
      return /** @type {RangeAnswer} */ ({
        uid: target.uid, target, from: 'Store', start, step, measuredUs: column('measuredUs'), q50Us: column('q50Us'), q90Us: column('q90Us'), q99Us: column('q99Us'),
        chance: column('chance'), thresholdUs: points.map(([first]) => first?.thresholdUs ?? null), firing: points.map((seconds) => seconds.some(({ firing }) => firing)), next: null,
      });
    },
    alerts: (query) => {
      const [version, all] = [Math.floor(now() / 5), world.alerts(roster, now())];
      const kept = state.history == null ? 0 : 250;
      const after = query.get('after');
      if (after == null) return /** @type {Alerts} */ ({ version, alerts: all, forgotten: 0, next: kept && all.length ? `${all.at(-1)?.firedUnix}:0` : null });
      // What is imagined goes on with the same alerts, days earlier.
      const [fired = 0, seen = 0] = after.split(':').map(Number);
      const count = Math.min(Number(query.get('limit')) || 100, kept - seen, all.length);
      const alerts = all.slice(0, count).map((alert, i) => ({ ...alert, state: /** @type {const} */ ('Resolved'), firedUnix: fired - 60 * (i + 1), resolvedUnix: fired - 60 * i - 20 }));
      return /** @type {Alerts} */ ({ version, alerts, forgotten: 0, next: seen + count < kept && count > 0 ? `${alerts.at(-1)?.firedUnix}:${seen + count}` : null });
    },
    policies: () => /** @type {Policies} */ ({
      policies: world.policies(cluster),
      scores: cluster ? ['node0', 'node1'].flatMap((node) => world.scores().map((score) => ({ node, ...score }))) : world.scores(),
      trends: cluster ? ['node0', 'node1'].flatMap((node) => world.trends(now()).map((trend) => ({ node, ...trend }))) : world.trends(now()),
    }),
    nodes: () => /** @type {Nodes} */ ({
      nodes: world.nodes(now(), cluster), problems: cluster ? ['NotReady: 4 of 5 agents work; failing on node5: the agent has not reported'] : [],
      remarks: [], notes: cluster ? ['not permitted to see the Lease of netprecursor-system: forbidden'] : [],
    }),
    models: () => /** @type {Models} */ ({ models: world.models() }),
    try: () => trial.choices(),
  };

  /** @param {URLSearchParams} query @returns {Live} */
  const live = (query) => {
    const latest = latestOf();
    /** @type {Live} */
    const event = { unix: now(), source: source(), counts: count(latest), roster: 1, alerts: Math.floor(now() / 5), history: history() };
    if (cluster) event.cluster = streams();
    if (query.get('view') === 'overview') event.latest = latest;
    if (query.get('view') === 'target') event.point = index(query.get('uid')) < 0 ? null : world.point(index(query.get('uid')), now());
    return event;
  };

  const cookie = () => `netprecursor=${Buffer.from(state.token ?? '').toString('hex')}`;

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('content-security-policy', CSP);
    response.setHeader('x-content-type-options', 'nosniff');
    const say = (/** @type {number} */ status, /** @type {unknown} */ body) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (!url.pathname.startsWith('/api/v1/')) {
      const name = url.pathname === '/' ? 'index.html' : url.pathname.slice(1);
      const file = fileURLToPath(new URL(`../dist/${name}`, import.meta.url));
      if (name.includes('..') || !existsSync(file)) return say(404, { error: 'no such path' });
      response.setHeader('content-type', TYPES[name.split('.').at(-1) ?? ''] ?? 'text/plain');
      return createReadStream(file).pipe(response);
    }
    const what = url.pathname.slice('/api/v1/'.length);
    if (what === 'session' && request.method === 'POST') {
      if (request.headers.authorization !== `Bearer ${state.token}`) return say(401, { error: 'got another token than that of --token-file' });
      response.setHeader('set-cookie', `${cookie()}; HttpOnly; SameSite=Strict; Path=/`);
      return response.writeHead(204).end();
    }
    if (state.token && !request.headers.cookie?.includes(cookie())) return say(401, { error: 'got no token, expected that of --token-file' });
    if (what === state.failing) return say(503, { error: 'got more to do than can be done' });
    if (what === 'live' && state.isFull) return say(503, { error: '64 pages follow already, expected fewer: close some of them' });
    if (what === 'live') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      const send = () => {
        if (!state.isSilent) response.write(`data: ${JSON.stringify(live(url.searchParams))}\n\n`);
      };
      send();
      const timer = setInterval(send, 1000);
      return request.on('close', () => clearInterval(timer));
    }
    if (what === 'try' && request.method === 'POST') {
      if (request.headers['content-type'] !== 'application/json') return say(415, { error: 'expected the header `content-type: application/json`' });
      let text = '';
      request.on('data', (part) => { text += part; });
      return request.on('end', () => {
        const asked = /** @type {import('../src/trial').Request} */ (JSON.parse(text));
        if (asked.policy.name === 'No name') return say(400, { error: 'policy: metadata.name: got `No name`, expected lower-case letters, digits and `-`' });
        return say(200, trial.attempt(asked, roster, now()));
      });
    }
    const body = routes[what]?.(url.searchParams);
    return body ? say(200, body) : say(404, { error: `got ${what} ${url.searchParams}, which is not known; the overview lists the targets` });
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => {
      const address = /** @type {import('node:net').AddressInfo} */ (server.address());
      const close = () => {
        server.closeAllConnections();
        server.close();
      };
      resolve({ url: `http://127.0.0.1:${address.port}/`, close, world: state });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { targets: { type: 'string', default: '110' }, port: { type: 'string', default: '9471' }, cluster: { type: 'boolean', default: false }, token: { type: 'string' } } });
  const { url } = await serve({ targets: Number(values.targets), port: Number(values.port), cluster: values.cluster, ...(values.token && { token: values.token }) });
  process.stdout.write(`${url}\n`);
}
