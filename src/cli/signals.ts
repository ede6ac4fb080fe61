/**
 * SIGINT, SIGTERM and SIGUSR1 stop a run in an orderly way: the first one aborts it, and the run saves its state; a
 * second one leaves at once. What is on the disk is whole in both cases.
 */

/** signal → exit status of a run that it interrupted */
export const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGUSR1: 75 } as const;

export type StopSignal = keyof typeof SIGNAL_STATUS;

/** A scheduler that sent SIGTERM kills after 20 s or more, so a run that does not stop by itself is ended before. */
const DEADLINE_MS = 19_000;

export interface SignalWatch {
  readonly signal: AbortSignal;
  /** the one that came first, if any did */
  received(): StopSignal | undefined;
  /** Gives the signals back to Node. */
  release(): void;
}

export interface SignalOptions {
  /** Says that the run is stopping, or in `late` that it did not stop in time. */
  onStop(received: StopSignal, late: boolean): void;
  exit(status: number): void;
  source?: NodeJS.EventEmitter;
  deadlineMs?: number;
}

export function watchSignals({ onStop, exit, source = process, deadlineMs = DEADLINE_MS }: SignalOptions): SignalWatch {
  const abort = new AbortController();
  let first: StopSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  const listeners = (Object.keys(SIGNAL_STATUS) as StopSignal[]).map((name) => {
    const listener = () => {
      if (first !== undefined) {
        exit(SIGNAL_STATUS[name]);
        return;
      }
      first = name;
      onStop(name, false);
      abort.abort();
      timer = setTimeout(() => {
        onStop(name, true);
        exit(SIGNAL_STATUS[name]);
      }, deadlineMs).unref();
    };
    // Node starts its inspector on SIGUSR1 unless somebody listens.
    source.on(name, listener);
    return [name, listener] as const;
  });
  return {
    signal: abort.signal,
    received: () => first,
    release() {
      clearTimeout(timer);
      for (const [name, listener] of listeners) source.off(name, listener);
    },
  };
}
