/** Makes the plan of a set, in two passes over the selection, and puts the selection's runs where the plan has them. */
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { throwIfAborted } from "../pool.ts";
import {
  checkTotals,
  type GroupPlan,
  groupFolders,
  type MaterializePlan,
  planBuckets,
  ShardCutter,
  type Survey,
  surveyRuns,
} from "./plan.ts";
import type { MaterializeRequest } from "./request.ts";
import { BucketWriter, selectedRuns } from "./runs.ts";
import { SPILL_OVERHEAD, spilledIdBytes } from "./spill.ts";
import { checkSpace } from "./state.ts";

/** Two passes over the selection: how much there is of everything, then where each run goes. @throws DoremiError */
export async function makePlan(request: MaterializeRequest): Promise<MaterializePlan> {
  const { manifest, settings, state, selectionPath, output } = request;
  const { repeats } = settings;
  const runs = () => untilAborted(selectedRuns(selectionPath, manifest, repeats), request.signal);
  const survey = await surveyRuns(runs(), manifest);
  checkTotals(manifest, repeats, survey.totals);
  await checkSpace(output, spaceNeeded(request, survey));
  const buckets = planBuckets(survey);
  const bucketOf = new Uint32Array(survey.unitRuns.length);
  for (const [i, { units }] of buckets.entries()) for (const unit of units) bucketOf[unit] = i;

  const { documents } = survey.totals;
  const folders = groupFolders(manifest.domains.map((domain) => domain.name));
  const members =
    settings.layout === "mixed"
      ? [{ domain: null, folder: ".", domains: [...documents.keys()] }]
      : [...documents.keys()]
          .filter((domain) => documents[domain]! > 0)
          .map((domain) => ({ domain, folder: folders[domain]!, domains: [domain] }));
  const weightOf = documentWeights(request);
  const cutters = members.map(({ domains }) => {
    const total = domains.reduce((sum, d) => sum + weightOf(d, documents[d]!, survey.totals.tokens[d]!), 0);
    return "documents" in settings.shards
      ? new ShardCutter(total, settings.shards.documents, false)
      : new ShardCutter(total, settings.shards.bytes, true);
  });
  const groupOf = new Uint32Array(manifest.domains.length);
  const offsets = [0]; // position of each group's first document
  for (const [group, { domains }] of members.entries()) {
    for (const domain of domains) groupOf[domain] = group;
    offsets.push(offsets[group]! + domains.reduce((sum, domain) => sum + documents[domain]!, 0));
  }

  const writer = new BucketWriter(state.path("runs.bin"), buckets);
  try {
    for await (const chunk of runs()) {
      for (let i = 0; i < chunk.count; i++) {
        const domain = chunk.domain[i]!;
        const group = groupOf[domain]!;
        const cutter = cutters[group]!;
        writer.add(bucketOf[chunk.unit[i]!]!, chunk, i, offsets[group]! + cutter.documents);
        cutter.add(chunk.rows[i]!, weightOf(domain, chunk.rows[i]!, chunk.tokens[i]!));
      }
    }
  } catch (error) {
    writer.close();
    throw error;
  }
  writer.finish();

  const boundaries: number[] = [];
  const groups: GroupPlan[] = members.map(({ domain, folder }, group) => {
    const firstShard = boundaries.length;
    if (cutters[group]!.documents > 0) boundaries.push(offsets[group]!);
    for (const cut of cutters[group]!.cuts) boundaries.push(offsets[group]! + cut);
    return { domain, folder, firstShard, shards: boundaries.length - firstShard };
  });
  boundaries.push(offsets.at(-1)!);
  const plan: MaterializePlan = {
    key: state.key,
    files: manifest.files,
    domains: manifest.domains.map((domain) => domain.name),
    groups,
    boundaries,
    buckets,
    totals: survey.totals,
  };
  await writeFileAtomic(state.path("plan.json"), JSON.stringify(plan));
  return plan;
}

async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  for await (const item of items) {
    throwIfAborted(signal);
    yield item;
  }
}

/** Of a document in its shard beside its content, bytes, about: its place in an index, the names of fields. */
const DOCUMENT_BYTES = 16;

/** What documents of a domain weigh: bytes in a shard before compression, about; or just their number. */
function documentWeights({ manifest, settings, format, tokenizer }: MaterializeRequest) {
  const idBytes = format.idBytes?.(tokenizer.vocabularySize) ?? 0;
  const separatorBytes = settings.separator === null ? 0 : idBytes;
  return (domain: number, documents: number, tokens: number): number => {
    if ("documents" in settings.shards) return documents;
    const { bytes, tokens: available } = manifest.domains[domain]!;
    const content = format.content === "ids" ? tokens * idBytes : tokens * (bytes / Math.max(1, available));
    return content + documents * (DOCUMENT_BYTES + separatorBytes);
  };
}

/** Of what zstd leaves of text and ids, a cautious figure. */
const COMPRESSED_SHARE = 0.6;

/** Bytes of what is spilled and of the set, about; a set that goes elsewhere shard by shard takes none. */
function spaceNeeded(request: MaterializeRequest, { totals }: Survey): number {
  const { manifest, settings, format, tokenizer, upload } = request;
  const weightOf = documentWeights({ ...request, settings: { ...settings, shards: { bytes: 1 } } });
  const share = upload ? 0 : settings.compression === "zstd" ? COMPRESSED_SHARE : 1;
  return totals.documents.reduce((sum, documents, domain) => {
    const tokens = totals.tokens[domain]!;
    const { bytes, tokens: available } = manifest.domains[domain]!;
    const spilled =
      format.content === "ids" ? spilledIdBytes(tokenizer.vocabularySize) : bytes / Math.max(1, available);
    return sum + share * weightOf(domain, documents, tokens) + documents * SPILL_OVERHEAD + tokens * spilled;
  }, 0);
}
