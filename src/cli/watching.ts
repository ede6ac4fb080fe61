/**
 * A run on a terminal, drawn again every second until it is over or the user leaves; elsewhere written once, when it is over.
 * Reads its folder and no more.
 */
import { setTimeout as wait } from "node:timers/promises";
import { RunFollower } from "../report/live/follow.ts";
import type { LiveState } from "../report/live/state.ts";
import { type Screen, watchLines } from "./watch-text.ts";

const REDRAW_MS = 1000;
/** Alternate screen without a cursor, and back; the start of the screen, the rest of a line, the rest of the screen. */
const [ENTER, LEAVE] = ["\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"];
const [HOME, CLEAR_LINE, CLEAR_BELOW] = ["\x1b[H", "\x1b[K", "\x1b[0J"];

export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** @param once show it as it is now, and leave @returns what was seen last */
export async function watchInTerminal(
  run: string,
  stream: TerminalStream,
  { once, signal }: { readonly once: boolean; readonly signal: AbortSignal },
): Promise<LiveState> {
  const follower = new RunFollower(run);
  let state = await readAll(follower);
  const drawn = stream.isTTY === true;
  if (!once && isGoingOn(state) && !signal.aborted) {
    if (drawn) stream.write(ENTER);
    try {
      while (isGoingOn(state) && !signal.aborted) {
        if (drawn) stream.write(screenText(watchLines(state, screenOf(stream))));
        await wait(REDRAW_MS, undefined, { signal }).catch(() => {});
        state = await follower.read();
      }
    } finally {
      if (drawn) stream.write(LEAVE);
    }
  }
  stream.write(`${watchLines(state, screenOf(stream)).join("\n")}\n`);
  return state;
}

/** Over what was drawn before. */
function screenText(lines: readonly string[]): string {
  return `${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`;
}

/** A log is read a stretch at a time: until nothing new comes. */
async function readAll(follower: RunFollower): Promise<LiveState> {
  const stepsOf = ({ trainings }: LiveState) => trainings.reduce((sum, { series }) => sum + series.steps, 0);
  let state = await follower.read();
  for (let before = -1; stepsOf(state) > before; state = await follower.read()) before = stepsOf(state);
  return state;
}

function isGoingOn({ state }: LiveState): boolean {
  return state === "running" || state === "waiting";
}

/** What is no terminal takes any number of lines. */
function screenOf({ isTTY, columns = 100, rows = 40 }: TerminalStream): Screen {
  return isTTY === true ? { columns, rows } : { columns: 100, rows: 60 };
}
