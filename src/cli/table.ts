/**
 * Tables in monospaced text, aligned by display width, so that 宋词 takes four columns. Headers may have several lines.
 * Cells are text already; numbers are formatted by numbers.ts.
 */
import stringWidth from "string-width";

export interface Column {
  /** lines divided by \n, set at the bottom */
  readonly header: string;
  /** default right, as numbers want it */
  readonly align?: "left" | "right";
}

const GAP = "  ";

/** @param foot rows under a second rule, such as a total @returns lines without a trailing blank */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  foot: readonly (readonly string[])[] = [],
): string[] {
  const headers = columns.map((column) => column.header.split("\n").map(printable));
  const height = Math.max(0, ...headers.map((lines) => lines.length));
  const head = Array.from({ length: height }, (_, line) =>
    headers.map((lines) => lines[line - (height - lines.length)] ?? ""),
  );
  const clean = (all: readonly (readonly string[])[]) =>
    all.map((row) => columns.map((_, i) => printable(row[i] ?? "")));
  const [body, bottom] = [clean(rows), clean(foot)];
  const widths = columns.map((_, i) =>
    Math.max(0, ...[...head, ...body, ...bottom].map((row) => stringWidth(row[i]!))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => pad(cell, widths[i]!, columns[i]!.align ?? "right"))
      .join(GAP)
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join(GAP);
  return [...head.map(line), rule, ...body.map(line), ...(bottom.length > 0 ? [rule, ...bottom.map(line)] : [])];
}

/** Label and value, a pair a line. */
export function formatPairs(pairs: readonly (readonly [label: string, value: string])[]): string[] {
  const width = Math.max(0, ...pairs.map(([label]) => stringWidth(label)));
  return pairs.map(([label, value]) => `${pad(label, width, "left")}${GAP}${printable(value)}`.trimEnd());
}

/** Fills up with blanks to a display width. */
export function pad(text: string, width: number, align: "left" | "right"): string {
  const blanks = " ".repeat(Math.max(0, width - stringWidth(text)));
  return align === "left" ? text + blanks : blanks + text;
}

const GRAPHEMES = new Intl.Segmenter();

/** As much of the text as fits, ending in … where some was left out. */
export function truncate(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of GRAPHEMES.segment(text)) {
    used += stringWidth(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width < 1 ? "" : `${kept}…`;
}

/** Names come from file names and columns: control characters in them may not move the cursor or colour the screen. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to replace
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "�");
}
