import type { Live } from '../api';
import type { Refused } from '../client';
import type { Connection } from '../live';
import { clock, moment } from '../pure/format';

/** Says what is not as of now, and why. */
export function Banner({ live, connection, refused }: { live: Live | null; connection: Connection; refused: Refused | null }) {
  const words = refused ? refused.message : (lost(live, connection) ?? stale(live));
  return <div class="banner" role="alert" hidden={!words}>{words}</div>;
}

function lost(live: Live | null, { isOpen, heard }: Connection): string | null {
  if (isOpen || heard == null || !live) return null;
  return `netprecursor dashboard does not answer. This page shows what it knew at ${clock(heard / 1000)}, and retries.`;
}

function stale(live: Live | null): string | null {
  if (live?.source.state !== 'Stale') return null;
  const { since, reason } = live.source;
  return `Stale: the agent has not been read since ${moment(since, Date.now() / 1000)}; what you see is older. Retrying. ${reason ?? ''}`;
}
