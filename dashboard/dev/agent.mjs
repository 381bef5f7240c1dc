// @ts-check
/**
 * An agent that is not there: the imagined node (`world.mjs`) behind the part of the agent's API that `netprecursor dashboard`
 * reads, in the shapes of `node-agent/src/serve`. With it the program itself is tried without privileges and without a kernel:
 *
 *     node dev/agent.mjs [--targets N] [--port N, 0 for any that is free]
 *     netprecursor dashboard --agent http://127.0.0.1:9470
 */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import * as world from './world.mjs';

const { values } = parseArgs({ options: { targets: { type: 'string', default: '110' }, port: { type: 'string', default: '9470' } } });
const amount = Number(values.targets);
const roster = world.targets(amount, false);
const now = () => Math.floor(Date.now() / 1000);
const began = now() - 600;
const SCHEMA = JSON.parse(readFileSync(new URL('../../core/schema.json', import.meta.url), 'utf8'));

/** @param {import('../src/api').Point} point */
function state(point) {
  return point.firing ? 'Firing' : point.standing === 'Pending' ? 'Pending' : 'Idle';
}

/** @type {Record<string, (query: URLSearchParams) => unknown>} */
const routes = {
  targets: () =>
    roster.map((target, i) => {
      const point = world.point(i, now());
      const gate = point.note ? { gate: 'WarmingUp', ticks: 24, samples: 3 } : {};
      return {
        target: target.name, uid: target.uid, labels: target.labels, watchedSeconds: now() - began, measuredUs: point.measuredUs, predictedUs: point.q50Us,
        chance: point.chance, firing: point.firing, established: 20, coveragePercent: 100, smoothedPercent: 0, rttFrom: 'Clean',
        rules: target.rules.map(({ needed, ...rule }) => ({ ...rule, state: state(point), ...gate })),
      };
    }),
  forecast: () =>
    roster.flatMap((target, i) =>
      target.rules.map(({ policyKind, policyNamespace, policy, rule, model, needed }) => {
        const { q50Us, q90Us, q99Us, chance } = world.point(i, now());
        const quantilesUs = q50Us == null ? null : [q50Us, q90Us, q99Us];
        return { target: target.name, policyKind, policyNamespace, policy, rule, model, tick: now() - began, horizonSeconds: 10, quantilesUs, ceilingUs: null, chance, needed: needed == null ? null : needed + 1e-6 * (now() - began) };
      }),
    ),
  history: (query) => {
    const since = Math.max(Number(query.get('since')), now() - 300);
    return roster.map((target, i) => ({
      target: target.name,
      points: Array.from({ length: Math.max(0, now() - since) }, (_, s) => {
        const { unix, measuredUs, q50Us, chance, firing } = world.point(i, since + 1 + s);
        return { unix, measuredUs, predictedUs: q50Us, chance, firing };
      }),
    }));
  },
  alerts: () => world.alerts(roster, now()).slice(0, 512).map((alert) => ({ ...alert, rttFrom: 'Clean' })),
  scores: () => world.scores(),
  sensors: () => ({
    kernel: '6.18.4', rttSource: 'Measured', surveyFailures: 0, ticks: now() - began, ticksSkipped: 4, lastTickMicroseconds: 310,
    sensors: world.nodes(now(), false)[0]?.sensors.map(({ name, need, state, reason, limits }) => ({ name, need, state, ...(reason && { reason }), ...(limits && { limits }) })),
  }),
  sinks: () => [{ name: 'log', target: 'stdout', failures: 0, pending: 0, sent: 9, dropped: 0 }],
};

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const what = url.pathname.replace('/api/v1/', '');
  if (what === 'stream') {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const header = { schema_hash: SCHEMA.hash, agent_version: '0.1.0', kernel: '6.18.4', signals: world.SIGNALS.map(({ name }) => name), features: [] };
    response.write(`${JSON.stringify(header)}\n`);
    const timer = setInterval(() => {
      const unix = now();
      const targets = roster.map(({ name, uid }, i) => ({ target: name, uid, signals: world.signals(i, unix) }));
      response.write(`${JSON.stringify({ tick: unix - began, unix_ms: unix * 1000 + 40, monotonic_ns: (unix - began) * 1e9, targets })}\n`);
    }, 1000);
    return request.on('close', () => clearInterval(timer));
  }
  const body = routes[what]?.(url.searchParams);
  response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' });
  return response.end(JSON.stringify(body ?? { error: 'no such path' }));
});
server.listen(Number(values.port), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`an imagined agent with ${amount} targets on http://127.0.0.1:${port}\n`);
});
