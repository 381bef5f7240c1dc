/** The stream of seconds: one connection for what is looked at, opened again with back-off when it ends. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Live } from './api';

/** Seconds without an event after which the stream is taken for dead: a machine that slept, a proxy that buffers. */
const SILENCE_MS = 5_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

export interface Connection {
  /** Attempts in a row that brought no event, or ended; 0 while events come. */
  failures: number;
  /** When the last event came, ms since 1970; null before the first. */
  heard: number | null;
}

/** How long to wait before the next attempt. */
export function wait(failures: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
}

/**
 * Follows the stream of `view` and calls `take` for each second. A view of null closes it. A browser does not say why a stream
 * failed, so `failed` is called to find out.
 */
export function useLive(view: string | null, take: (live: Live) => void, failed: () => void): Connection {
  const [connection, setConnection] = useState<Connection>({ failures: 0, heard: null });
  const hands = useRef({ take, failed });
  hands.current = { take, failed };
  useEffect(() => {
    if (view == null) {
      setConnection({ failures: 0, heard: null });
      return undefined;
    }
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    const fail = () => {
      source?.close();
      clearTimeout(timer);
      timer = setTimeout(open, wait(failures));
      failures += 1;
      setConnection((before) => ({ ...before, failures }));
      hands.current.failed();
    };
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(fail, SILENCE_MS);
    };
    const open = () => {
      source = new EventSource(`/api/v1/live?${view}`);
      source.onmessage = ({ data }: MessageEvent<string>) => {
        listen();
        failures = 0;
        setConnection({ failures, heard: Date.now() });
        hands.current.take(JSON.parse(data) as Live);
      };
      source.onerror = fail;
      listen();
    };
    open();
    return () => {
      source?.close();
      clearTimeout(timer);
    };
  }, [view]);
  return connection;
}
