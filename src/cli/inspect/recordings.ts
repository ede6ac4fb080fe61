/** Arrow files that a training writes: its trajectory, and the trace of a proxy. Little of them is read, whatever their size. */
import { RecordBatches } from "../../stages/record-batches.ts";
import { openRecording } from "../../stages/trace-read.ts";
import { formatInteger, formatShare, plural } from "../numbers.ts";
import { objectiveParts } from "../replay-objective.ts";
import { formatPairs, formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

/** Steps of a trajectory that are shown: the first, the last, and some between. */
const SHOWN_STEPS = 10;
const SHOWN_WEIGHTS = 6;

/** What a trajectory says of one step. */
interface StepRow {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  /** of a proxy: domain weights, averaged up to the step [K] */
  readonly average?: readonly number[];
}

/**
 * Loss over the steps and, of a proxy, the averaged domain weights.
 * @param batchRows number of rows of each record batch
 */
export async function inspectTrajectory(
  path: string,
  batchRows: readonly number[],
  names: readonly string[],
): Promise<Inspection> {
  const steps = batchRows.reduce((sum, rows) => sum + rows, 0);
  const [shown, weighed] = [spread(steps, SHOWN_STEPS), spread(steps, SHOWN_WEIGHTS)];
  const { columns, rows } = await readRows(path, batchRows, new Set([...shown, ...weighed]), names.length);
  const isProxy = columns.includes("average");
  const [first, last] = [rows.get(0), rows.get(steps - 1)];
  // A domain a line, because there may be more domains than fit side by side.
  const weightTable = () =>
    formatTable(
      [
        { header: "domain", align: "left" },
        ...weighed.map((row) => ({ header: `step\n${formatInteger(rows.get(row)!.step)}` })),
      ],
      names.map((name, domain) => [name, ...weighed.map((row) => rows.get(row)!.average![domain]!.toFixed(4))]),
    );
  return {
    kind: `trajectory of a ${isProxy ? "proxy" : "reference"}'s training`,
    facts: {
      steps,
      domains: names,
      columns,
      ...(first && last && { firstLoss: first.loss, lastLoss: last.loss }),
      ...(last?.average && { weights: byName(names, last.average) }),
    },
    lines: [
      plural(steps, "step"),
      "",
      ...formatTable(
        [{ header: "step" }, { header: "loss" }, { header: "learning\nrate" }, { header: "gradient\nnorm" }],
        shown.map((row) => {
          const { step, loss, learningRate, gradientNorm } = rows.get(row)!;
          return [formatInteger(step), loss.toFixed(4), learningRate.toExponential(2), gradientNorm.toFixed(3)];
        }),
      ),
      ...(isProxy ? ["", "Domain weights, averaged up to the step:", "", ...weightTable()] : []),
    ],
  };
}

/** What was recorded, and under what; what follows from it is for `doremi replay`. */
export async function inspectTrace(path: string): Promise<Inspection> {
  const recording = await openRecording(path);
  try {
    const { domains, proxy, length } = recording;
    const { facts, objective, seed, reference } = proxy;
    let sequences = 0;
    for await (const [step] of recording.steps()) {
      sequences = step?.sequences.domains.length ?? 0;
      break;
    }
    return {
      kind: "trace of a proxy's training",
      facts: { steps: length, sequences, objective, seed, reference, domains, facts },
      lines: [
        ...formatPairs([
          ["steps", formatInteger(length)],
          ["sequences a step", formatInteger(sequences)],
          ["objective", objectiveParts(objective).join(", ")],
          ["losses", reference ? "of the proxy, and over the reference" : "of the proxy"],
        ]),
        "",
        ...formatTable(
          [
            { header: "domain", align: "left" },
            { header: "tokens for\ntraining" },
            { header: "share of\nbatches" },
            { header: "reference\nweight" },
            { header: "weight\nat start" },
          ],
          domains.map((name, i) => [
            name,
            formatInteger(facts.sizes[i]!),
            formatShare(facts.sampling[i]!),
            facts.reference[i]!.toFixed(4),
            facts.start[i]!.toFixed(4),
          ]),
        ),
        "",
        "What objectives make of these losses: doremi replay",
      ],
    };
  } finally {
    await recording.close();
  }
}

/** The rows asked for; only the record batches that have one are read. */
async function readRows(path: string, batchRows: readonly number[], wanted: ReadonlySet<number>, K: number) {
  const rows = new Map<number, StepRow>();
  const batches = await RecordBatches.open(path);
  try {
    const { columns } = batches;
    let before = 0;
    for (const [index, count] of batchRows.entries()) {
      const here = [...wanted].filter((row) => row >= before && row < before + count);
      const batch = here.length > 0 ? await batches.read(index) : undefined;
      for (const row of here) {
        const at = row - before;
        const number = (name: string) => batch!.numbers(name)[at]!;
        rows.set(row, {
          step: number("step"),
          loss: number("loss"),
          learningRate: number("learning_rate"),
          gradientNorm: number("gradient_norm"),
          ...(columns.includes("average") && {
            average: [...batch!.lists("average", K).subarray(at * K, (at + 1) * K)],
          }),
        });
      }
      before += count;
    }
    return { columns, rows };
  } finally {
    await batches.close();
  }
}

function byName(names: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

/** At most `count` rows of `length`, evenly spread, the first and the last among them. */
function spread(length: number, count: number): number[] {
  const rows = Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
  return [...new Set(rows)].filter((row) => row >= 0);
}
