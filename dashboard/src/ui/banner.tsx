import type { Live } from '../api';
import type { Refused } from '../client';
import type { Connection } from '../live';
import { trouble } from '../pure/trouble';

/** Says what is not as of now, and why. */
export function Banner({ live, connection, refused }: { live: Live | null; connection: Connection; refused: Refused | null }) {
  const words = trouble(live?.source ?? null, connection, refused?.message ?? null, Date.now() / 1000);
  return <div class="banner" role="alert" hidden={!words}>{words}</div>;
}
