/** A pipeline file as text: settings in their tables, above each what the schema says of it and why it has this value. */
import { stringify } from "yaml";
import { settingText } from "../setting-text.ts";
import type { Setting } from "./setting.ts";

const WIDTH = 110;

/** @param head lines of the comment that the file begins with @param settings in the order in which they are written */
export function pipelineText(head: readonly string[], settings: readonly Setting[]): string {
  const lines = head.map((line) => `# ${line}`.trimEnd());
  let open: readonly string[] = [];
  for (const { path, value, why } of settings) {
    const keys = path.split(".");
    const tables = keys.slice(0, -1);
    const shared = sharedDepth(open, tables);
    if (shared === 0 && tables.length > 0) lines.push("");
    for (let depth = shared; depth < tables.length; depth++) lines.push(`${indent(depth)}${tables[depth]}:`);
    open = tables;
    const depth = tables.length;
    for (const text of [settingText(path), sentence(why)]) lines.push(...comment(text, depth));
    lines.push(`${indent(depth)}${keys.at(-1)}: ${valueText(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

function sharedDepth(a: readonly string[], b: readonly string[]): number {
  let depth = 0;
  while (depth < a.length && depth < b.length && a[depth] === b[depth]) depth++;
  return depth;
}

const indent = (depth: number) => "  ".repeat(depth);

/** On one line: tables as { key: value }. */
function valueText(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0, flowCollectionPadding: true }).trimEnd();
}

function sentence(why: string | undefined): string | undefined {
  if (!why) return undefined;
  return `Here: ${why}${/[.!?]$/.test(why) ? "" : "."}`;
}

/** Text as a comment, broken between words. */
function comment(text: string | undefined, depth: number): string[] {
  const words = (text ?? "").split(/\s+/).filter((word) => word !== "");
  const start = `${indent(depth)}#`;
  const lines: string[] = [];
  let line = start;
  for (const word of words) {
    if (line.length + 1 + word.length > WIDTH && line !== start) {
      lines.push(line);
      line = start;
    }
    line += ` ${word}`;
  }
  return line === start ? lines : [...lines, line];
}
