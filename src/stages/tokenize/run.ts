/**
 * tokenize: encodes the chosen documents in the pool and writes them, in a fixed order, into token stores. What they will
 * hold is known and announced beforehand, so training can begin on what is there.
 */
import { DoremiError } from "../../lib/errors.ts";
import { locate } from "../../storage/location.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { CountedShard } from "../count/contract.ts";
import { RowCountsReader, readCountedShards } from "../count/counted-shards.ts";
import { type PoolTask, throwIfAborted, workerModule } from "../pool.ts";
import { reporter, type Stage, type StageContext } from "../stage.ts";
import {
  type TokenizeInput,
  type TokenizeOutput,
  type TokenStoreReference,
  tokenizeInput,
  tokenizeOutput,
} from "./contract.ts";
import { assignSplits, planTokenize, storedTokens, type TokenizePlan, type UnitPlan } from "./plan.ts";
import { planStores, StoresWriter, storeName, storeOf } from "./stores.ts";
import { writeVocabulary } from "./vocabulary.ts";
import type { EncodedDocuments, EncodeTask } from "./worker.ts";

const WORKER = workerModule(import.meta.url, "./worker");

export const tokenize: Stage<TokenizeInput, TokenizeOutput> = {
  name: "tokenize",
  version: 3,
  reads: ["count"],
  input: tokenizeInput,
  output: tokenizeOutput,
  async run(input, context) {
    const report = reporter(context, "tokenize");
    const folder = context.folderOf("count");
    const shards = await readCountedShards(folder, input.shards);
    const reader = new RowCountsReader(folder, input.tokenizer.name, input.domainRule, input.domains);
    const plan = await planTokenize(input, shards, (shard) => {
      throwIfAborted(context.signal);
      return reader.read(shards[shard]!);
    });
    checkSizes(input, plan);
    const { splits, disjoint } = assignSplits(input, plan);
    const notes = describe(input, plan, disjoint);
    for (const note of notes) report.note(note);
    const nameOf = storeOf(plan, splits);
    const stores = planStores(input, shards, plan, nameOf);
    const output = outputOf(input, stores, disjoint, notes);
    const writer = await StoresWriter.open(context.folder, input, plan, stores, nameOf);
    try {
      // What is written can be read from here on; a vocabulary of what occurs is known at the end alone.
      if (input.vocabulary === "full") context.announce?.(output);
      await writeStores(input, context, shards, plan, writer, (done, total) => report.progress(done, total, "tokens"));
    } catch (error) {
      await writer.suspend().catch(() => {}); // what stopped the stage says more
      throw error;
    }
    await writer.commit();
    if (input.vocabulary === "full") return output;
    const vocabulary = await writeVocabulary(context.folder, output);
    return { ...output, vocabulary };
  },
};

function outputOf(
  input: TokenizeInput,
  stores: ReadonlyMap<string, TokenStoreReference>,
  disjoint: readonly boolean[],
  notes: string[],
): TokenizeOutput {
  const { name, fingerprint, vocabularySize, endOfText } = input.tokenizer;
  return {
    tokenizer: { name, fingerprint, vocabularySize, endOfText },
    vocabulary: null,
    sequenceLength: input.sequenceLength,
    domains: input.domains.map((domain, d) => {
      const reference = stores.get(storeName(d, "reference"))!;
      return {
        name: domain,
        reference,
        proxy: disjoint[d] ? stores.get(storeName(d, "proxy"))! : reference,
        disjoint: disjoint[d]!,
        heldOut: stores.get(storeName(d, "held-out")) ?? null,
      };
    }),
    notes,
  };
}

function checkSizes(input: TokenizeInput, plan: TokenizePlan): void {
  for (const [d, name] of input.domains.entries()) {
    if (plan.trainTokens[d]! > input.sequenceLength) continue;
    throw new DoremiError(
      "bad-data",
      "domain-too-small",
      `domain “${name}”: needs more tokens than one sequence (train.model.sequenceLength: ${input.sequenceLength}), found ${plan.trainTokens[d]} outside its held-out documents; ` +
        "lower sequenceLength, or merge it with another domain",
    );
  }
}

function describe(input: TokenizeInput, plan: TokenizePlan, disjoint: readonly boolean[]): string[] {
  // Where only one of the two reads here, there is nothing to keep apart.
  const both = (d: number) => input.referenceTokens[d]! > 0 && input.proxyTokens[d]! > 0;
  const shared = input.domains.filter((_, d) => !disjoint[d] && both(d));
  const unseen = input.domains.filter((_, d) => plan.heldOutTokens[d] === 0);
  return [
    ...(shared.length > 0
      ? [
          `too small for disjoint reference and proxy sequences, so both models read the same documents: ${shared.join(", ")}`,
        ]
      : []),
    ...(unseen.length > 0 ? [`nothing is held out, so there is no held-out loss: ${unseen.join(", ")}`] : []),
    ...(input.tokenizer.endOfText === null
      ? [`tokenizer ${input.tokenizer.name} has no end-of-text token: documents follow each other without a mark`]
      : []),
  ];
}

async function writeStores(
  input: TokenizeInput,
  context: StageContext,
  shards: readonly CountedShard[],
  plan: TokenizePlan,
  writer: StoresWriter,
  progress: (done: number, total: number) => void,
): Promise<void> {
  const total = [...plan.trainTokens, ...plan.heldOutTokens].reduce((sum, tokens) => sum + tokens, 0);
  const tokensOf = ({ tokens }: UnitPlan) => tokens.reduce((sum, count) => sum + storedTokens(input, count), 0);
  const first = writer.unitsBefore;
  let done = plan.units.slice(0, first).reduce((sum, unit) => sum + tokensOf(unit), 0);
  const jobs = encodeTasks(input, shards, plan, first);
  for await (const { input: job, output } of context.pool.map<EncodeJob, EncodedDocuments>(
    WORKER,
    jobs,
    context.signal,
  )) {
    const unit = plan.units[job.index]!;
    const documents = Array.from(unit.rows, (_, i) => {
      const ids = output.ids.subarray(output.offsets[i]!, output.offsets[i + 1]!);
      checkCount(shards[unit.shard]!.path, unit, i, ids.length);
      return withEnd(ids, input.tokenizer.endOfText);
    });
    await writer.write(documents);
    done += tokensOf(unit);
    progress(done, total);
  }
}

/** Of a token id: by document, and all of them together. */
const ENCODED_BYTES = 8;

type EncodeJob = EncodeTask & { readonly index: number };

function* encodeTasks(
  input: TokenizeInput,
  shards: readonly CountedShard[],
  plan: TokenizePlan,
  first: number,
): Generator<PoolTask<EncodeJob>> {
  for (const [index, { shard: at, unit: u, rows, tokens }] of plan.units.entries()) {
    if (index < first) continue;
    const shard = shards[at]!;
    const unit = shard.units[u]!;
    yield {
      memoryBytes: unit.memoryBytes + ENCODED_BYTES * tokens.reduce((sum, count) => sum + count, 0),
      input: {
        index,
        rows,
        tokenizer: input.tokenizer as TokenizerDescriptor,
        source: {
          path: locate(input.root, shard.path),
          ...(shard.version !== undefined && { version: shard.version }),
          layout: { format: shard.format, size: shard.size },
          unit,
          textColumn: input.textColumn,
          domainColumn: input.domainColumn,
          domain: shard.domain,
          transform: input.transform,
          onBadDocument: input.onBadDocument,
        },
      },
    };
  }
}

/** A document that encodes to another number of ids than were counted was changed in between. */
function checkCount(file: string, unit: TokenizePlan["units"][number], i: number, found: number): void {
  if (found === unit.tokens[i]) return;
  throw new DoremiError(
    "bad-data",
    "shard-changed",
    `${file}: row ${unit.rows[i]} of row group ${unit.unit} had ${unit.tokens[i]} tokens when it was counted and has ${found} now; the shard changed during the run, run again`,
    { file, rowGroup: unit.unit },
  );
}

function withEnd(ids: Uint32Array, endOfText: number | null): Uint32Array {
  if (endOfText === null) return ids;
  const ended = new Uint32Array(ids.length + 1);
  ended.set(ids);
  ended[ids.length] = endOfText;
  return ended;
}
