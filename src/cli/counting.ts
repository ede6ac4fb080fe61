/** What `doremi count` does once it has a pipeline: run up to count, print the table. Loads the whole program. */

import { DoremiError } from "../lib/errors.ts";
import type { Pipeline } from "../pipeline/load.ts";
import { runPipeline } from "../pipeline/run.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import { formatBytes, formatInteger, formatShare } from "./numbers.ts";
import type { Session } from "./session.ts";
import { type Column, formatTable, printable } from "./table.ts";

export async function runCount(session: Session, pipeline: Pipeline): Promise<object> {
  const { count } = await runPipeline(pipeline, { until: "count", signal: session.signal, onEvent: session.onEvent });
  if (!count) throw new DoremiError("internal", "no-count", "the run ended without counts");
  session.summarise(["", ...countLines(count)]);
  return countLine(count);
}

/** Per tokenizer the tokens, their share, and bytes per token, which says how well it fits the text. */
export function countLines({
  domains,
  tokenizers,
  skipped,
}: Pick<CountOutput, "domains" | "tokenizers" | "skipped">): string[] {
  const names = tokenizers.map((tokenizer) => tokenizer.name);
  const columns: Column[] = [
    { header: "domain", align: "left" },
    { header: "documents" },
    { header: "bytes" },
    ...names.flatMap((name) => [{ header: `tokens\n${name}` }, { header: "share" }, { header: "bytes\nper token" }]),
  ];
  const totals = domains.reduce(
    (sum, domain) => ({
      documents: sum.documents + domain.documents,
      bytes: sum.bytes + domain.bytes,
      tokens: Object.fromEntries(names.map((name) => [name, (sum.tokens[name] ?? 0) + (domain.tokens[name] ?? 0)])),
    }),
    { documents: 0, bytes: 0, tokens: {} as Record<string, number> },
  );
  const row = (
    name: string,
    { documents, bytes, tokens }: Omit<CountOutput["domains"][number], "name" | "heldOut">,
  ) => [
    name,
    formatInteger(documents),
    formatBytes(bytes),
    ...names.flatMap((tokenizer) => {
      const count = tokens[tokenizer] ?? 0;
      const all = totals.tokens[tokenizer] ?? 0;
      return [
        formatInteger(count),
        formatShare(all === 0 ? 0 : count / all),
        count === 0 ? "–" : (bytes / count).toFixed(2),
      ];
    }),
  ];
  const table = formatTable(
    columns,
    domains.map((domain) => row(domain.name, domain)),
    [row("total", totals)],
  );
  return [
    ...table,
    ...tokenizers.filter(({ path }) => path === "library").map(({ name }) => slowPath(name)),
    ...skipped.map((shard) => `left out ${printable(shard.path)}: ${printable(shard.reason)}`),
  ];
}

/** The counter counts 30 to 100 MB of text a second on a core, the library some 2. */
function slowPath(name: string): string {
  return `${printable(name)} was counted by @huggingface/tokenizers: exactly, at a thirtieth of the counter's speed or less`;
}

/** The result line, without `command`. */
export function countLine({ domains, skipped }: Pick<CountOutput, "domains" | "skipped">): object {
  return {
    domains: Object.fromEntries(
      domains.map(({ name, documents, bytes, tokens, heldOut }) => [
        name,
        // Whole held-out files are counted apart; a held-out share of the documents is not.
        { documents, bytes, tokens, ...(heldOut.documents > 0 && { heldOut }) },
      ]),
    ),
    skipped,
  };
}
