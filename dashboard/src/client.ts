/** What the page asks of its backend. */

import type { Refusal } from './api';

const PATIENCE_MS = 10_000;

/** A trial takes seconds of a core, and waits for others. */
const LONG_PATIENCE_MS = 60_000;

/** An answer that is not 200; `status` 0 when there is none. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function ask<T>(path: string, init: RequestInit, signal?: AbortSignal, patience = PATIENCE_MS): Promise<T> {
  const limit = AbortSignal.timeout(patience);
  let answer: Response;
  try {
    answer = await fetch(`/api/v1/${path}`, { cache: 'no-store', signal: signal ? AbortSignal.any([limit, signal]) : limit, ...init });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, 'netprecursor dashboard does not answer; is it still running?');
  }
  if (answer.status === 204) return undefined as T;
  if (answer.ok) return (await answer.json()) as T;
  const refusal = (await answer.json().catch(() => null)) as Refusal | null;
  throw new Refused(answer.status, refusal?.error ?? `status ${answer.status}`);
}

export const read = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>(path, {}, signal);

export const post = <T>(path: string, body: unknown, signal: AbortSignal): Promise<T> =>
  ask<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, signal, LONG_PATIENCE_MS);

/** Exchanges the token for a cookie that scripts cannot read. */
export const signIn = (token: string): Promise<void> => ask<void>('session', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
