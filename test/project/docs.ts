/**
 * The documentation as what a test runs: fenced blocks with what their info strings ask for, and links with their anchors.
 * A block is `sh run` (executed), `sh fails=STATUS`, `sh needs=WHAT` (its commands are looked up in the help alone), `sh
 * install` (not run), `LANGUAGE file=NAME` (written), or `json stdout` / `text stderr` (part of what the block before said).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
export const DOCS = join(ROOT, "docs");

export interface Block {
  readonly language: string;
  /** words after the language */
  readonly kind: string;
  readonly text: string;
  readonly line: number;
}

/** Below docs/, without what the site's generator brings along. */
export function pages(): string[] {
  return readdirSync(DOCS, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".md") && !/(^|\/)(node_modules|\.vitepress)\//.test(path))
    .sort();
}

export const readPage = (page: string): string => readFileSync(join(DOCS, page), "utf8");

export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+)[ \t]*([^\n]*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    kind: match[2]!.trim(),
    text: match[3]!,
    line: markdown.slice(0, match.index).split("\n").length,
  }));
}

/** Targets of links and pictures, code left out. */
export function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
}

/** As the site makes them of headings. */
export function anchorsOf(markdown: string): Set<string> {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  return new Set(
    [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .trim()
        .replace(/\s+/g, "-"),
    ),
  );
}
