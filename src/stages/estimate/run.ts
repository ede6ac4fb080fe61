/** estimate: counts a random sample of the corpus's units and says what the whole holds, with intervals. */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { joinLocation } from "../../storage/location.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { CountTotals } from "../count/contract.ts";
import { type PlannedJob, unitJobs } from "../count/plan.ts";
import { skippedShard } from "../count/run.ts";
import { refuseUnlisted, shardTotals, valueTotals } from "../count/totals.ts";
import type { CountJobResult } from "../count/worker.ts";
import { readShards } from "../discover/run.ts";
import { workerModule } from "../pool.ts";
import { reporter, type Stage } from "../stage.ts";
import { type EstimateInput, type EstimateOutput, estimateInput, estimateOutput, type Interval } from "./contract.ts";
import { estimate as estimateFigures, type ObservedUnit, type Range } from "./estimator.ts";
import { planSample, type SampleStratum } from "./sample.ts";

const WORKER = workerModule(import.meta.url, "../count/worker");
export const ESTIMATE = "estimate.json";

type TypedInput = EstimateInput & { readonly tokenizers: readonly TokenizerDescriptor[] };
type UnitTotals = Readonly<Record<string, CountTotals>>;

export const estimate: Stage<EstimateInput, EstimateOutput> = {
  name: "estimate",
  version: 1,
  reads: ["discover"],
  input: estimateInput,
  output: estimateOutput,
  async run(value, context) {
    const input = value as TypedInput;
    const report = reporter(context, "estimate");
    const shards = await readShards(context.folderOf("discover"), input.shards);
    const strata = planSample(shards, input.fraction, input.seed);
    const names = input.tokenizers.map((tokenizer) => tokenizer.name);
    const units = strata.flatMap((stratum) => stratum.chosen);
    const total = units.reduce((sum, unit) => sum + unit.size, 0);
    const totals = new Map<string, UnitTotals>();
    const skipped = new Map<number, EstimateOutput["skipped"][number]>();
    let done = 0;
    report.progress(0, total, "bytes");
    for await (const { input: job, output } of context.pool.map<PlannedJob, CountJobResult>(
      WORKER,
      unitJobs(shards, units, input),
      context.signal,
    )) {
      for (const [i, step] of job.steps.entries()) {
        const shard = shards[step.shard]!;
        const { counts, failure } = output.parts[i]!;
        if (failure) skipped.set(step.shard, skippedShard(shard, failure));
        if (counts) {
          const values = valueTotals([counts], counts.domainNames, names.length);
          refuseUnlisted(values, shard, input.domains, joinLocation(input.root, shard.path));
          const { unit } = job.parts[i]!.unit!;
          totals.set(keyOf(step.shard, unit.index), shardTotals(values, shard, input.domains, names));
        }
        done += step.bytes;
      }
      report.progress(done, total, "bytes");
    }
    for (const shard of skipped.values()) report.note(`left out ${shard.path}: ${shard.reason}`);
    const kept = strata.map((stratum) => withoutShards(stratum, skipped));
    const domains = domainsOf(input, totals);
    const notes = [
      "estimated from a sample: the intervals are of 95 %; a domain that no sampled unit holds is not among them",
    ];
    const output: EstimateOutput = {
      format: "doremi-estimate",
      sample: {
        fraction: input.fraction,
        seed: input.seed,
        units: { read: units.length, of: kept.reduce((sum, stratum) => sum + stratum.units, 0) },
        storedBytes: { read: total, of: kept.reduce((sum, stratum) => sum + stratum.size, 0) },
      },
      confidence: 0.95,
      tokenizers: input.tokenizers.map(({ source: _, ...described }) => described),
      domains: describe(kept, totals, domains, names),
      skipped: [...skipped.values()],
      notes,
    };
    await writeFileAtomic(join(context.folder, ESTIMATE), `${JSON.stringify(output, null, 2)}\n`);
    return output;
  },
};

const keyOf = (shard: number, unit: number) => `${shard}/${unit}`;

/** A shard that cannot be read is no part of the corpus; what it had beside the sampled units is not known exactly. */
function withoutShards(stratum: SampleStratum, bad: ReadonlyMap<number, unknown>): SampleStratum {
  const chosen = stratum.chosen.filter((unit) => !bad.has(unit.shard));
  const share = chosen.length / Math.max(1, stratum.chosen.length);
  return { ...stratum, chosen, units: Math.round(stratum.units * share), size: stratum.size * share };
}

/** In the order of the list, or of the names; those that the sample met. */
function domainsOf({ domains: { listed } }: TypedInput, totals: ReadonlyMap<string, UnitTotals>): string[] {
  const met = new Set([...totals.values()].flatMap((unit) => Object.keys(unit)));
  if (met.size === 0) {
    throw new DoremiError(
      "bad-data",
      "no-documents",
      "no row of the sample is a document with a domain; check data.textColumn and data.domainColumn, or take a larger sample",
    );
  }
  return listed ? listed.filter((name) => met.has(name)) : [...met].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * The figures of each domain: [K, 2 + T] totals of documents, bytes and tokens by tokenizer, then [K, T] shares, then
 * [K, T] differences of them from the first tokenizer's, in points.
 */
function describe(
  strata: readonly SampleStratum[],
  totals: ReadonlyMap<string, UnitTotals>,
  domains: readonly string[],
  tokenizers: readonly string[],
): EstimateOutput["domains"] {
  const [K, T] = [domains.length, tokenizers.length];
  const width = 2 + T;
  const observe = ({ shard, unit, size }: SampleStratum["chosen"][number]): ObservedUnit => {
    const counts = new Float64Array(K * width);
    for (const [k, name] of domains.entries()) {
      const counted = totals.get(keyOf(shard, unit))?.[name];
      if (!counted) continue;
      counts.set([counted.documents, counted.bytes, ...tokenizers.map((t) => counted.tokens[t]!)], k * width);
    }
    return { size, counts };
  };
  const observed = strata.map(({ group, units, size, chosen }) => ({
    group,
    units,
    size,
    observed: chosen.map(observe),
  }));
  const shares = K * width; // where they begin
  const differences = shares + K * T;
  const ranges: Range[] = Array.from({ length: differences + K * T }, (_, f) =>
    f < shares ? "positive" : f < differences ? "share" : "any",
  );
  const found = estimateFigures(
    observed,
    K * width,
    (sums) => {
      const figures = new Float64Array(ranges.length);
      figures.set(sums);
      for (let t = 0; t < T; t++) {
        let all = 0;
        for (let k = 0; k < K; k++) all += sums[k * width + 2 + t]!;
        for (let k = 0; k < K; k++) {
          const share = all === 0 ? 0 : sums[k * width + 2 + t]! / all;
          figures[shares + k * T + t] = share;
          figures[differences + k * T + t] = 100 * (share - figures[shares + k * T]!);
        }
      }
      return figures;
    },
    ranges,
  );
  const byTokenizer = (start: number, from = 0): Record<string, Interval> =>
    Object.fromEntries(tokenizers.map((name, t) => [name, found[start + t]!] as const).slice(from));
  return domains.map((name, k) => ({
    name,
    documents: found[k * width]!,
    bytes: found[k * width + 1]!,
    tokens: byTokenizer(k * width + 2),
    share: byTokenizer(shares + k * T),
    difference: byTokenizer(differences + k * T, 1),
  }));
}
