/** A token store by its `.idx`: how many documents and tokens, and how long they are. */
import { openTokenStore } from "../../formats/token-store.ts";
import { DoremiError } from "../../lib/errors.ts";
import { formatInteger } from "../numbers.ts";
import { formatPairs } from "../table.ts";
import type { Inspection } from "./contract.ts";

const FIRST_IDS = 16;

export async function inspectTokenStore(path: string): Promise<Inspection> {
  if (!path.endsWith(".idx")) {
    throw new DoremiError(
      "bad-data",
      "token-store-name",
      `${path}: is the index of a token store, whose name must end in .idx, beside its .bin; rename it`,
      {
        file: path,
      },
    );
  }
  const store = await openTokenStore(path.slice(0, -".idx".length));
  try {
    const { lengths, tokens } = store;
    const sorted = Int32Array.from(lengths).sort();
    const quantile = (fraction: number) => sorted[Math.floor((sorted.length - 1) * fraction)] ?? 0;
    const facts = {
      documents: lengths.length,
      tokens,
      tokensPerDocument: { least: quantile(0), median: quantile(0.5), most: quantile(1) },
      firstIds: [...store.read(0, Math.min(tokens, FIRST_IDS))],
    };
    return {
      kind: "token store (Megatron indexed dataset)",
      facts,
      lines: formatPairs([
        ["documents", formatInteger(facts.documents)],
        ["tokens", formatInteger(tokens)],
        [
          "a document",
          `${formatInteger(quantile(0))} to ${formatInteger(quantile(1))} tokens, median ${formatInteger(quantile(0.5))}`,
        ],
        ["first ids", facts.firstIds.join(" ")],
      ]),
    };
  } finally {
    store.close();
  }
}
