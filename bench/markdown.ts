/** Tables of a results page. Pure. */
import { median } from "./statistics.ts";

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** The median, with the lowest and the highest behind it. */
export function spread(values: readonly number[], digits: number): string {
  const cell = median(values).toFixed(digits);
  return values.length === 1
    ? cell
    : `${cell} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}

export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly found: string;
  readonly met: boolean;
}

export function goalsTable(goals: readonly Goal[]): string[] {
  return table(
    ["", "goal", "found", ""],
    goals.map(({ what, goal, found, met }) => [what, goal, found, met ? "met" : "**missed**"]),
  );
}

const READING = "## Reading it";

/** What somebody wrote below the figures of an earlier run, to be written below these as well; "" where there is nothing. */
export function readingOf(page: string): string {
  const at = page.indexOf(READING);
  return at < 0 ? "" : `\n${page.slice(at)}`;
}
