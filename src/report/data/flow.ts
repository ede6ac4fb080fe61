/** Where the tokens of the shards went: used, read again, held out, not used. */
import type { Manifest } from "../../manifest/contract.ts";
import type { CountOutput } from "../../stages/count/contract.ts";
import { readCountedShards } from "../../stages/count/counted-shards.ts";
import type { ReportFlow } from "./contract.ts";

/** Shards that are shown one by one. */
const FILES_LIMIT = 24;

/**
 * A domain's whole text is used before any of it is used again, so what the set holds beyond what there is, is repeated.
 * @param folder of the count stage @throws DoremiError
 */
export async function readFlow(folder: string, count: CountOutput, manifest: Manifest): Promise<ReportFlow> {
  const tokenizer = manifest.tokenizer.name;
  const counted = new Map(
    count.domains.map(({ name, tokens, heldOut }) => [
      name,
      (tokens[tokenizer] ?? 0) + (heldOut.tokens[tokenizer] ?? 0),
    ]),
  );
  const inSet = new Map(manifest.domains.map((domain) => [domain.name, domain]));
  const by = (value: (name: string) => number) => count.domains.map(({ name }) => value(name));
  const available = (name: string) => inSet.get(name)?.tokens ?? counted.get(name) ?? 0;
  const achieved = (name: string) => inSet.get(name)?.achievedTokens ?? 0;
  const shards = await readCountedShards(folder, count.shards);
  const few = shards.length <= FILES_LIMIT && shards.every(({ domain }) => domain !== null);
  const place = new Map(count.domains.map(({ name }, k) => [name, k]));
  return {
    used: by((name) => Math.min(achieved(name), available(name))),
    repeated: by((name) => Math.max(0, achieved(name) - available(name))),
    heldOut: by((name) => Math.max(0, (counted.get(name) ?? 0) - available(name))),
    unused: by((name) => Math.max(0, available(name) - achieved(name))),
    shards: by((name) => shards.filter(({ domain }) => domain === name).length),
    files: few
      ? shards.map(({ path, domain, totals }) => ({
          path,
          domain: place.get(domain!) ?? -1,
          tokens: Object.values(totals).reduce((sum, { tokens }) => sum + (tokens[tokenizer] ?? 0), 0),
        }))
      : [],
  };
}
