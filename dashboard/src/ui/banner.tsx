import type { Live } from '../api';
import type { Refused } from '../client';
import type { Connection } from '../live';
import { pastTrouble } from '../pure/past';
import { trouble } from '../pure/trouble';

/** Says what is not as of now, and why. */
export function Banner({ live, connection, refused }: { live: Live | null; connection: Connection; refused: Refused | null }) {
  const now = Date.now() / 1000;
  const words = [trouble(live?.source ?? null, connection, refused?.message ?? null, now), pastTrouble(live?.history ?? [], now)].filter(Boolean).join(' ');
  return <div class="banner" role="alert" hidden={!words}>{words}</div>;
}
