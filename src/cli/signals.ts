/**
 * SIGINT, SIGTERM and SIGUSR1 stop a run in an orderly way: the first one aborts it, and the run saves its state; a
 * second one leaves at once. What is on the disk is whole in both cases.
 *
 * To leave at once is to die by the signal. `process.exit` would wait for the engine's native call, which may take minutes,
 * and abort the process when that returns into a thread that is being ended.
 */

/** signal → exit status of a run that it interrupted, which is also a shell's for a process that the first two end */
export const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGUSR1: 75 } as const;

export type StopSignal = keyof typeof SIGNAL_STATUS;

/** A scheduler that sent SIGTERM kills after 20 s or more, so a run that does not stop by itself is ended before. */
const DEADLINE_MS = 19_000;

/** SIGUSR1 warns of the end in good time, as Slurm does: there is time to finish a long step and save. */
const WARNING: StopSignal = "SIGUSR1";

/** `timeout`, npm and terminals signal a process and its whole group, so one signal may come twice. */
const REPEATED_MS = 250;

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
  /** Ends the process at once; default: by the signal. */
  leave?(received: StopSignal): void;
  source?: NodeJS.EventEmitter;
  deadlineMs?: number;
  repeatedMs?: number;
}

export function watchSignals({
  onStop,
  leave = dieBy,
  source = process,
  deadlineMs = DEADLINE_MS,
  repeatedMs = REPEATED_MS,
}: SignalOptions): SignalWatch {
  const abort = new AbortController();
  let first: StopSignal | undefined;
  let firstAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const listeners = (Object.keys(SIGNAL_STATUS) as StopSignal[]).map((name) => {
    const listener = () => {
      if (first !== undefined) {
        if (name !== first || performance.now() - firstAt > repeatedMs) leave(name);
        return;
      }
      first = name;
      firstAt = performance.now();
      onStop(name, false);
      abort.abort();
      if (name === WARNING) return;
      timer = setTimeout(() => {
        onStop(name, true);
        leave(name);
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

/** Whatever its threads are doing. */
function dieBy(received: StopSignal): void {
  process.removeAllListeners(received); // what the signal does by default, it does again
  process.kill(process.pid, received);
}
