/** Arrow files that counting writes: what it says of the rows of shards. */
import { tableFromIPC } from "apache-arrow";
import { NO_DOMAIN } from "../../stages/count/unit-rows.ts";
import { formatInteger, plural } from "../numbers.ts";
import { formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

const TOKENS_PREFIX = "tokens.";

/** Totals by domain of the rows, whichever shards they are of. */
export function inspectRowCounts(data: Uint8Array, names: readonly string[]): Inspection {
  const table = tableFromIPC(data);
  const tokenizers = table.schema.fields.flatMap(({ name }) =>
    name.startsWith(TOKENS_PREFIX) ? [name.slice(TOKENS_PREFIX.length)] : [],
  );
  const domains = names.map((name) => ({ name, documents: 0, bytes: 0, tokens: tokenizers.map(() => 0) }));
  let dropped = 0;
  let withoutDomain = 0;
  for (const batch of table.batches) {
    const column = (name: string) => batch.getChild(name)!.toArray() as ArrayLike<number>;
    const [domain, bytes, tokens] = [
      column("domain"),
      column("bytes"),
      tokenizers.map((name) => column(`${TOKENS_PREFIX}${name}`)),
    ];
    for (let row = 0; row < batch.numRows; row++) {
      const entry = domains[domain[row]!];
      if (!entry) {
        if (domain[row] === NO_DOMAIN) withoutDomain++;
        else dropped++;
        continue;
      }
      entry.documents++;
      entry.bytes += bytes[row]!;
      for (const [t, counts] of tokens.entries()) entry.tokens[t]! += counts[row]!;
    }
  }
  const facts = {
    rows: table.numRows,
    units: table.batches.map((batch) => batch.numRows),
    notDocuments: dropped,
    withoutDomain,
    domains: Object.fromEntries(
      domains.map(({ name, documents, bytes, tokens }) => [
        name,
        { documents, bytes, tokens: Object.fromEntries(tokenizers.map((tokenizer, t) => [tokenizer, tokens[t]])) },
      ]),
    ),
  };
  return {
    kind: "token counts of shards' rows",
    facts,
    lines: [
      `${plural(table.numRows, "row")} in ${plural(facts.units.length, "unit")}${dropped > 0 ? `, ${formatInteger(dropped)} of them no documents` : ""}${withoutDomain > 0 ? `, ${formatInteger(withoutDomain)} documents without a domain` : ""}`,
      "",
      ...formatTable(
        [
          { header: "domain", align: "left" },
          { header: "documents" },
          { header: "bytes" },
          ...tokenizers.map((name) => ({ header: `tokens\n${name}` })),
        ],
        domains.map(({ name, documents, bytes, tokens }) => [
          name,
          formatInteger(documents),
          formatInteger(bytes),
          ...tokens.map(formatInteger),
        ]),
      ),
    ],
  };
}
