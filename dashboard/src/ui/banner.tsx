import type { Live } from '../api';
import type { Refused } from '../client';
import type { Connection } from '../live';
import { pastTrouble } from '../pure/past';
import { trouble } from '../pure/trouble';

/** Says what is not as of now, and why. */
export function Banner({ live, connection, refused }: { live: Live | null; connection: Connection; refused: Refused | null }) {
  const now = Date.now() / 1000;
  const who = live?.cluster ? 'the API server' : 'the agent';
  const words = [trouble(live?.source ?? null, connection, refused?.message ?? null, now, who), pastTrouble(live?.history ?? [], now)].filter(Boolean).join(' ');
  const notes = live?.cluster?.notes ?? [];
  return (
    <>
      <div class="banner" role="alert" hidden={!words}>{words}</div>
      {notes.length > 0 && <aside class="banner notes" aria-label="What you may not see"><ul>{notes.map((note) => <li key={note}>{note}</li>)}</ul></aside>}
    </>
  );
}
