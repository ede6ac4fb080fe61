/** How documents are chosen and follow each other, in words: of a manifest, or of what a run is going to write. */
import type { Manifest } from "../manifest/contract.ts";

const WHOLE = { document: "documents", "row-group": "row groups", shard: "shards" } as const;

/** "documents chosen whole, domains interleaved in proportion, documents shuffled in every epoch" */
export function selectionText({
  granularity,
  order,
  shuffle,
}: Pick<Manifest, "granularity" | "order" | "shuffle">): string {
  return [
    `${WHOLE[granularity]} chosen whole`,
    order === "mixed" ? "domains interleaved in proportion" : "domain after domain",
    shuffle === "none" ? "files and rows as they lie" : `${WHOLE[shuffle]} shuffled in every epoch`,
  ].join(", ");
}
