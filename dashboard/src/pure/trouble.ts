/** What is not as of now, and why. */

import type { Source } from '../api';
import type { Connection } from '../live';
import { clock, moment } from './format';

/**
 * Words for the banner; null when all is well. `refused` is what the backend says to a plain question, if not an answer, and
 * `who` is read by it.
 */
export function trouble(source: Source | null, { failures, heard }: Connection, refused: string | null, now: number, who = 'the agent'): string | null {
  if (failures > 0) {
    const reason = refused ?? 'netprecursor dashboard does not answer, or has as many pages as it takes, or a proxy holds its stream back';
    const last = heard == null ? 'No second has come yet: what this page shows stands still' : `This page shows what it knew at ${clock(heard / 1000)}`;
    return `${reason}${/[.?!]$/.test(reason) ? '' : '.'} ${last}. Retrying.`;
  }
  if (heard == null && refused != null) return refused;
  if (source?.state !== 'Stale') return null;
  return `Stale: ${who} has not been read since ${moment(source.since, now)}; what you see is older. Retrying. ${source.reason ?? ''}`;
}
