import { useEffect, useState } from 'preact/hooks';
import { post, Refused } from '../../client';
import type { Answer, Request } from '../../trial';

/** A slider that moves asks once it rests. */
const REST_MS = 300;

export interface Trial {
  /** The last answer; it stays while another one is awaited. */
  answer: Answer | null;
  /** What the last answer was asked for with. */
  asked: Request | null;
  refused: Refused | null;
  isRunning: boolean;
}

/** Tries what is asked for, whenever it is something else or `round` is another. */
export function useTrial(request: Request | null, round: number): Trial {
  const [trial, setTrial] = useState<Trial>({ answer: null, asked: null, refused: null, isRunning: false });
  const text = JSON.stringify(request);
  useEffect(() => {
    if (!request) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      post<Answer>('try', request, abort.signal).then(
        (answer) => setTrial({ answer, asked: request, refused: null, isRunning: false }),
        (error: unknown) => {
          // The next request of this page has ended it.
          if (abort.signal.aborted) return;
          const refused = error instanceof Refused ? error : new Refused(0, String(error));
          setTrial((before) => ({ ...before, refused, isRunning: false }));
        },
      );
    }, REST_MS);
    setTrial((before) => ({ ...before, isRunning: true }));
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, round]);
  return trial;
}
