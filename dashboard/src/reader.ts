/** Reads what the page shows, again whenever it changes, and again with back-off when it fails. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { Refused } from './client';
import { wait } from './live';

type Ask<T> = (signal: AbortSignal) => Promise<T>;

/** One read at a time, each let finish: of what changes faster than it is answered nothing would ever arrive otherwise. */
export class Reader<T> {
  private readonly abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isRunning = false;
  private failures = 0;
  private known: unknown = Symbol('nothing');
  private wanted: unknown;

  /** `versionOf` an answer, where it has one; else it has the version that it was asked for. */
  constructor(
    private readonly ask: Ask<T>,
    private readonly take: (answer: T) => void,
    private readonly refuse: (refused: Refused) => void,
    private readonly versionOf?: (answer: T) => unknown,
  ) {}

  /** Sees to it that this version is known: by a read now, or once the one that runs or waits is done. */
  want(version: unknown): void {
    this.wanted = version;
    if (this.failures === 0 && this.wanted !== this.known) this.read();
  }

  /** Reads now, unless it does already. */
  read(): void {
    if (this.isRunning || this.abort.signal.aborted) return;
    clearTimeout(this.timer);
    this.isRunning = true;
    const asked = this.wanted;
    this.ask(this.abort.signal).then(
      (answer) => this.finish(() => {
        this.failures = 0;
        this.known = this.versionOf ? this.versionOf(answer) : asked;
        this.take(answer);
        if (this.wanted !== asked) this.want(this.wanted);
      }),
      (error: unknown) => this.finish(() => {
        this.timer = setTimeout(() => this.read(), wait(this.failures));
        this.failures += 1;
        this.refuse(error instanceof Refused ? error : new Refused(0, String(error)));
      }),
    );
  }

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
  }

  private finish(then: () => void): void {
    if (this.abort.signal.aborted) return;
    this.isRunning = false;
    then();
  }
}

interface Read<T> {
  /** The last answer. It stays when a later read fails. */
  answer: T | null;
  /** Why the last read failed; null when it did not. */
  refused: Refused | null;
  /** Reads now. */
  again: () => void;
}

/** Reads `subject`, for which `ask` asks, whenever it is another or its `version` is. */
export function useRead<T>(subject: string, ask: Ask<T>, version?: unknown, versionOf?: (answer: T) => unknown): Read<T> {
  const [state, setState] = useState<Omit<Read<T>, 'again'>>({ answer: null, refused: null });
  const reader = useRef<Reader<T> | null>(null);
  useEffect(() => {
    const mine = new Reader(
      ask,
      (answer) => setState({ answer, refused: null }),
      (refused) => setState((before) => ({ ...before, refused })),
      versionOf,
    );
    reader.current = mine;
    return () => mine.close();
  }, [subject]);
  useEffect(() => reader.current?.want(version), [subject, version]);
  const again = useRef(() => reader.current?.read());
  return { ...state, again: again.current };
}
