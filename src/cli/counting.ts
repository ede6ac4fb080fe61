/** What `doremi count` does once it has a pipeline: run up to count, print the table. Loads the whole program. */

import { DoremiError } from "../lib/errors.ts";
import type { Pipeline } from "../pipeline/load.ts";
import { countPart, mergeParts } from "../pipeline/parts.ts";
import { runPipeline } from "../pipeline/run.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import type { FilesRange } from "../stages/discover/contract.ts";
import type { Part } from "../stages/discover/partition.ts";
import type { StageEvent } from "../stages/stage.ts";
import { estimateLine, estimateLines } from "./estimating.ts";
import { formatBytes, formatDuration, formatInteger, formatPoints, formatShare, plural } from "./numbers.ts";
import { shownPath } from "./paths.ts";
import type { Session } from "./session.ts";
import { type Column, formatTable, printable } from "./table.ts";

type Counted = Extract<StageEvent, { type: "counted" }>;

/** @param sample fraction of the corpus's units to read; without it, all */
export async function runCount(session: Session, pipeline: Pipeline, sample?: number): Promise<object> {
  if (sample !== undefined) return runEstimate(session, pipeline, sample);
  let counted: Counted | undefined;
  const { count } = await runPipeline(pipeline, {
    until: "count",
    signal: session.signal,
    onEvent: (event) => {
      if (event.type === "counted") counted = event;
      session.onEvent(event);
    },
  });
  if (!count) throw new DoremiError("internal", "no-count", "the run ended without counts");
  session.summarise(["", ...countLines(count, counted)]);
  return countLine(count, counted);
}

/** Counts a part of the shards. */
export async function runPart(session: Session, pipeline: Pipeline, part: Part): Promise<object> {
  let counted: Counted | undefined;
  const { status, output, range, count } = await countPart(pipeline, part, {
    signal: session.signal,
    onEvent: (event) => {
      if (event.type === "counted") counted = event;
      session.onEvent(event);
    },
  });
  session.summarise(["", ...countLines(count, counted), "", `${rangeText(range)}: ${shownPath(output)}`]);
  return { status, output, part: { ...part, ...rangeLine(range) }, ...countLine(count, counted) };
}

/** @param parts and output absolute */
export async function runMerge(
  session: Session,
  parts: readonly string[],
  output: string,
  partial: boolean,
): Promise<object> {
  const { status, range, count } = await mergeParts(parts, output, {
    partial,
    signal: session.signal,
    onEvent: session.onEvent,
  });
  session.summarise(["", ...countLines(count), "", `${rangeText(range)}: ${shownPath(output)}`]);
  return { status, output, parts: parts.length, ...rangeLine(range), ...countLine(count) };
}

type Range = Pick<FilesRange, "start" | "end" | "files">;

const rangeLine = ({ start, end, files }: Range) => ({ start, end, files });

function rangeText({ start, end, files }: Range): string {
  return start === 0 && end === files
    ? `all ${formatInteger(files)} files`
    : `${formatInteger(end - start)} of ${formatInteger(files)} files, from the ${formatInteger(start)}th on (counted from 0)`;
}

async function runEstimate(session: Session, pipeline: Pipeline, sample: number): Promise<object> {
  const { estimate } = await runPipeline(pipeline, { sample, signal: session.signal, onEvent: session.onEvent });
  if (!estimate) throw new DoremiError("internal", "no-estimate", "the run ended without an estimate");
  session.summarise(["", ...estimateLines(estimate)]);
  return estimateLine(estimate);
}

/**
 * Per tokenizer the tokens, their share, how far that is from the first tokenizer's, and bytes per token, which says how
 * well it fits the text.
 */
export function countLines(
  {
    domains,
    tokenizers,
    skipped,
    badDocuments,
  }: Pick<CountOutput, "domains" | "tokenizers" | "skipped" | "badDocuments">,
  counted?: Counted,
): string[] {
  const [first, ...others] = tokenizers.map((tokenizer) => tokenizer.name);
  const names = first === undefined ? [] : [first, ...others];
  const columns: Column[] = [
    { header: "domain", align: "left" },
    { header: "documents" },
    { header: "bytes" },
    ...names.flatMap((name) => [
      { header: `tokens\n${name}` },
      { header: "share" },
      ...(name === first ? [] : [{ header: `points\nfrom\n${first}` }]),
      { header: "bytes\nper token" },
    ]),
  ];
  const row = (
    name: string,
    { documents, bytes, tokens }: Pick<CountOutput["domains"][number], "documents" | "bytes" | "tokens">,
    { share, difference }: Partial<Pick<CountOutput["domains"][number], "share" | "difference">> = {},
  ) => [
    name,
    formatInteger(documents),
    formatBytes(bytes),
    ...names.flatMap((tokenizer) => {
      const count = tokens[tokenizer] ?? 0;
      return [
        formatInteger(count),
        share ? formatShare(share[tokenizer] ?? 0) : "",
        ...(tokenizer === first ? [] : [difference ? formatPoints(difference[tokenizer] ?? 0) : ""]),
        count === 0 ? "–" : (bytes / count).toFixed(2),
      ];
    }),
  ];
  const totals = domains.reduce(
    (sum, domain) => ({
      documents: sum.documents + domain.documents,
      bytes: sum.bytes + domain.bytes,
      tokens: Object.fromEntries(names.map((name) => [name, (sum.tokens[name] ?? 0) + (domain.tokens[name] ?? 0)])),
    }),
    { documents: 0, bytes: 0, tokens: {} as Record<string, number> },
  );
  const table = formatTable(
    columns,
    domains.map((domain) => row(domain.name, domain, domain)),
    [row("total", totals)],
  );
  return [
    ...table,
    ...tokenizers.filter(({ path }) => path === "library").map(({ name }) => slowPath(name, counted)),
    ...skipped.map((shard) => `left out ${printable(shard.path)}: ${printable(shard.reason)}`),
    ...badDocumentLines(badDocuments),
  ];
}

/** How many of each domain, and the first few places. */
function badDocumentLines(bad: CountOutput["badDocuments"]): string[] {
  if (!bad) return [];
  const number = (count: number, what: string) => (count === 0 ? [] : [`${plural(count, "bad document")} ${what}`]);
  const counts = ({ skipped, replaced }: Pick<typeof bad, "skipped" | "replaced">) =>
    [...number(skipped, "left out"), ...number(replaced, "with U+FFFD in place of what is not UTF-8")].join(", ");
  return [
    ...bad.domains.map(({ domain, ...of }) => `${domain === null ? "of no domain" : printable(domain)}: ${counts(of)}`),
    ...bad.places.slice(0, SHOWN_PLACES).map(({ path, rowGroup, row, reason }) => {
      const where = `${rowGroup === null ? "" : `row group ${rowGroup}, `}row ${formatInteger(row)} (from 0)`;
      return `  ${printable(path)}, ${where}: ${printable(reason)}`;
    }),
    ...(bad.skipped + bad.replaced > SHOWN_PLACES ? ["  and more"] : []),
  ];
}

const SHOWN_PLACES = 3;

/** The counter counts 30 to 100 MB of text a second on a core, the library some 2. */
function slowPath(name: string, counted: Counted | undefined): string {
  const seconds = counted?.seconds[name] ?? 0;
  const all = Object.values(counted?.seconds ?? {}).reduce((sum, value) => sum + value, 0);
  const cost =
    seconds > 0
      ? `, in ${formatDuration(seconds * 1000)} of the workers' ${formatDuration(all * 1000)} in tokenizers`
      : "";
  return `${printable(name)} was counted by @huggingface/tokenizers: exactly, at a thirtieth of the counter's speed or less${cost}`;
}

/** The result line, without `command`. */
export function countLine(
  {
    domains,
    skipped,
    tokenizers,
    badDocuments,
  }: Pick<CountOutput, "domains" | "skipped" | "tokenizers" | "badDocuments">,
  counted?: Counted,
): object {
  return {
    domains: Object.fromEntries(
      domains.map(({ name, documents, bytes, tokens, heldOut, share, difference }) => [
        name,
        {
          documents,
          bytes,
          tokens,
          share,
          ...(tokenizers.length > 1 && { difference }),
          // Whole held-out files are counted apart; a held-out share of the documents is not.
          ...(heldOut.documents > 0 && { heldOut }),
        },
      ]),
    ),
    slowTokenizers: tokenizers.filter(({ path }) => path === "library").map(({ name }) => name),
    ...(counted && {
      shards: { counted: counted.shards, kept: counted.kept, cached: counted.cached },
      tokenizerSeconds: counted.seconds,
    }),
    skipped,
    ...(badDocuments && { badDocuments }),
  };
}
