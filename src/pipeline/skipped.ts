/** The limit on what bad documents and bad shards may take out of a corpus without a word. */
import { DoremiError } from "../lib/errors.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import { readCountedShards } from "../stages/count/counted-shards.ts";
import type { DiscoverOutput } from "../stages/discover/contract.ts";

/** One domain's, or where no domain is known of what was left out, the corpus's. */
interface Loss {
  skipped: number;
  of: number;
}

/**
 * @param maxSkipped data.maxSkipped
 * @param folder of the count stage
 * @throws DoremiError too-many-skipped
 */
export async function checkSkipped(
  maxSkipped: number,
  discovered: Pick<DiscoverOutput, "skipped">,
  counted: CountOutput,
  folder: string,
): Promise<void> {
  if (maxSkipped >= 1) return;
  checkDocuments(maxSkipped, counted);
  const shards = [...discovered.skipped, ...counted.skipped];
  if (shards.length > 0) await checkShards(maxSkipped, shards, counted, folder);
}

function checkDocuments(maxSkipped: number, { domains, badDocuments }: CountOutput): void {
  if (!badDocuments) return;
  const all = domains.map(({ name, documents, heldOut }) => ({ name, documents: documents + heldOut.documents }));
  for (const { domain, skipped } of badDocuments.domains) {
    const sound = all.filter(({ name }) => domain === null || name === domain);
    const of = sound.reduce((sum, { documents }) => sum + documents, skipped);
    if (!isTooMuch({ skipped, of }, maxSkipped)) continue;
    const place = badDocuments.places.find(({ outcome }) => outcome === "skipped")!;
    const where = `${place.rowGroup === null ? "" : `row group ${place.rowGroup}, `}row ${place.row} (from 0)`;
    throw tooMany(
      domain,
      `${skipped} of ${of} documents`,
      maxSkipped,
      `${place.path}, ${where}: ${place.reason}`,
      place,
    );
  }
}

async function checkShards(
  maxSkipped: number,
  skipped: CountOutput["skipped"],
  counted: CountOutput,
  folder: string,
): Promise<void> {
  const sound = await readCountedShards(folder, counted.shards);
  for (const domain of new Set(skipped.map((shard) => shard.domain))) {
    const left = skipped.filter((shard) => shard.domain === domain);
    const bytes = left.reduce((sum, shard) => sum + shard.bytes, 0);
    const of = sound.filter((shard) => domain === null || shard.domain === domain);
    const total = of.reduce((sum, shard) => sum + shard.size, bytes);
    if (!isTooMuch({ skipped: bytes, of: total }, maxSkipped)) continue;
    const [first] = left;
    const what = `${bytes} of ${total} bytes, in ${left.length} of ${left.length + of.length} shards`;
    throw tooMany(domain, what, maxSkipped, `${first!.path}: ${first!.reason}`, first!);
  }
}

function isTooMuch({ skipped, of }: Loss, maxSkipped: number): boolean {
  return skipped > maxSkipped * of;
}

function tooMany(
  domain: string | null,
  found: string,
  maxSkipped: number,
  first: string,
  { path }: { readonly path: string },
): DoremiError {
  return new DoremiError(
    "bad-data",
    "too-many-skipped",
    `${domain === null ? "the corpus" : `domain “${domain}”`}: at most ${100 * maxSkipped} % may be left out as bad (data.maxSkipped), and ${found} are; ` +
      `the first is ${first}. Mend the data, or raise data.maxSkipped`,
    { file: path },
  );
}
