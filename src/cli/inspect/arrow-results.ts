/** Arrow files that the program itself writes: the row counts of shards, the trajectory of a training. */
import { tableFromIPC } from "apache-arrow";
import { NO_DOMAIN } from "../../stages/count/unit-rows.ts";
import { formatInteger, plural } from "../numbers.ts";
import { formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

const TOKENS_PREFIX = "tokens.";
/** Steps of a trajectory that are shown: the first, the last, and some between. */
const SHOWN_STEPS = 10;
const SHOWN_WEIGHTS = 6;

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

/** Loss over the steps and, of a proxy, the averaged domain weights. */
export function inspectTrajectory(data: Uint8Array, names: readonly string[]): Inspection {
  const table = tableFromIPC(data);
  const steps = table.numRows;
  const number = (column: string, row: number) => Number(table.getChild(column)?.get(row) ?? Number.NaN);
  const list = (column: string, row: number): number[] | undefined => {
    const value = table.getChild(column)?.get(row) as Iterable<number> | null | undefined;
    return value ? [...value] : undefined;
  };
  const weights = steps > 0 ? list("average", steps - 1) : undefined;
  const isProxy = table.getChild("average") !== null;
  const stepRow = (row: number) => [
    formatInteger(number("step", row)),
    number("loss", row).toFixed(4),
    number("learning_rate", row).toExponential(2),
    number("gradient_norm", row).toFixed(3),
  ];
  // A domain a line, because there may be more domains than fit side by side.
  const weightTable = () => {
    const rows = spread(steps, SHOWN_WEIGHTS);
    const averages = rows.map((row) => list("average", row) ?? []);
    return formatTable(
      [
        { header: "domain", align: "left" },
        ...rows.map((row) => ({ header: `step\n${formatInteger(number("step", row))}` })),
      ],
      names.map((name, domain) => [name, ...averages.map((average) => (average[domain] ?? Number.NaN).toFixed(4))]),
    );
  };
  return {
    kind: `trajectory of a ${isProxy ? "proxy" : "reference"}'s training`,
    facts: {
      steps,
      domains: names,
      columns: table.schema.fields.map((field) => field.name),
      ...(steps > 0 && { firstLoss: number("loss", 0), lastLoss: number("loss", steps - 1) }),
      ...(weights && { weights: Object.fromEntries(names.map((name, i) => [name, weights[i]])) }),
    },
    lines: [
      plural(steps, "step"),
      "",
      ...formatTable(
        [{ header: "step" }, { header: "loss" }, { header: "learning\nrate" }, { header: "gradient\nnorm" }],
        spread(steps, SHOWN_STEPS).map(stepRow),
      ),
      ...(isProxy ? ["", "Domain weights, averaged up to the step:", "", ...weightTable()] : []),
    ],
  };
}

/** At most `count` rows of `length`, evenly spread, the first and the last among them. */
function spread(length: number, count: number): number[] {
  const rows = Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
  return [...new Set(rows)].filter((row) => row >= 0);
}
