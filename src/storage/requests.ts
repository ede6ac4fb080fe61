/**
 * Requests to object stores: few at a time, each with a time limit, and again where it may go well later. Knows nothing
 * of what is asked for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DoremiError } from "../lib/errors.ts";
import { explainFault, RemoteFault } from "./remote-failure.ts";

/** A connection that sends slower than this stands still. */
const SLOWEST_BYTES_PER_MS = 256;

interface RequestSettings {
  /** of one attempt, ms */
  readonly timeoutMs: number;
  /** attempts after the first */
  readonly retries: number;
  /** requests in flight, of a thread */
  readonly concurrency: number;
}

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

/** @throws DoremiError bad-setting */
export function requestSettings(environment: NodeJS.ProcessEnv = process.env): RequestSettings {
  const number = (name: string, otherwise: number, least: number): number => {
    const text = environment[name];
    if (text === undefined || text === "") return otherwise;
    const value = Number(text);
    if (Number.isFinite(value) && value >= least) return value;
    throw new DoremiError(
      "bad-configuration",
      "bad-setting",
      `${name}: must be a number from ${least} up, found ${JSON.stringify(text)}`,
    );
  };
  return {
    timeoutMs: 1000 * number("DOREMI_STORAGE_TIMEOUT", 60, 0.001),
    retries: Math.floor(number("DOREMI_STORAGE_RETRIES", 5, 0)),
    concurrency: Math.floor(number("DOREMI_STORAGE_CONCURRENCY", 16, 1)),
  };
}

/** Requests of one thread. */
export class Requests {
  readonly #settings: RequestSettings;
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(settings: RequestSettings = requestSettings()) {
    this.#settings = settings;
  }

  /**
   * @param attempt rejects with a RemoteFault; its signal ends with its time
   * @param bytes that it sends, which take their time
   * @throws DoremiError see remote-failure.ts
   */
  async send<T>(uri: string, attempt: (signal: AbortSignal) => Promise<T>, bytes = 0): Promise<T> {
    const { retries } = this.#settings;
    for (let failed = 0; ; ) {
      try {
        return await this.#once(attempt, bytes);
      } catch (error) {
        if (!(error instanceof RemoteFault)) throw error;
        failed++;
        if (!error.isTemporary || failed > retries) throw explainFault(error, uri, failed);
      }
      // Half of it by chance, so that workers that failed together do not come back together.
      const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failed - 1));
      await sleep(delay * (0.5 + Math.random() / 2));
    }
  }

  async #once<T>(attempt: (signal: AbortSignal) => Promise<T>, bytes: number): Promise<T> {
    if (this.#inFlight >= this.#settings.concurrency) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#inFlight++;
    const timeoutMs = this.#settings.timeoutMs + bytes / SLOWEST_BYTES_PER_MS;
    const stop = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        stop.abort();
        reject(new RemoteFault("unavailable", `nothing within ${Math.round(timeoutMs) / 1000} s`));
      }, timeoutMs);
    });
    try {
      // The client can't be stopped: what comes after its time is dropped.
      return await Promise.race([attempt(stop.signal), late]);
    } finally {
      clearTimeout(timer);
      const next = this.#waiting.shift();
      if (next) next();
      else this.#inFlight--;
    }
  }
}
