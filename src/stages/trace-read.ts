/**
 * A recorded training of a proxy, step by step: what its objective saw and what weights it gave. From a trace, where a
 * step has every sequence of its batch, or from a trajectory, whose means by domain stand for one sequence each.
 */
import { DoremiError } from "../lib/errors.ts";
import type { SequenceStatistics } from "../mixture/objective.ts";
import { type BatchColumns, RecordBatches } from "./record-batches.ts";
import { type RecordedProxy, readRecordMetadata } from "./trace-metadata.ts";

export interface RecordedStep {
  readonly step: number; // 1-based
  readonly sequences: SequenceStatistics;
  /** mean held-out loss of each domain before this step, where it was measured */
  readonly heldOut: Float64Array | undefined; // [K]
  /** weights that the run gave the domains */
  readonly alpha: Float64Array; // [K]
}

export interface Recording {
  readonly path: string;
  readonly domains: readonly string[];
  readonly proxy: RecordedProxy;
  /** what stands for a sequence: sequences, bit for bit, or domains, whose sums are means again */
  readonly of: "sequences" | "domains";
  /** number of steps */
  readonly length: number;
  /** all of them, in stretches that are read at once */
  steps(): AsyncGenerator<readonly RecordedStep[]>;
  close(): Promise<void>;
}

/** @throws DoremiError missing-file, not-a-trace, other-version, corrupt-file; what the file is where it is another */
export async function openRecording(path: string): Promise<Recording> {
  const batches = await RecordBatches.open(path);
  try {
    const { domains, proxy } = readRecordMetadata(batches.metadata, path);
    const isTrace = batches.columns.includes("domain");
    const stepsOf = isTrace ? stepsOfTrace : stepsOfTrajectory;
    const length = await lastStep(batches);
    return {
      path,
      domains,
      proxy,
      of: isTrace ? "sequences" : "domains",
      length,
      async *steps() {
        let last = 0;
        for await (const columns of batches) {
          const steps = columns.rows === 0 ? [] : stepsOf(columns, proxy);
          for (const { step } of steps) {
            if (step !== last + 1) throw damaged(path, `step ${step} follows step ${last}`);
            last = step;
          }
          yield steps;
        }
      },
      close: () => batches.close(),
    };
  } catch (error) {
    await batches.close();
    throw error;
  }
}

async function lastStep(batches: RecordBatches): Promise<number> {
  const last = batches.length > 0 ? await batches.read(batches.length - 1) : undefined;
  return last?.numbers("step").at(-1) ?? 0;
}

function stepsOfTrace(columns: BatchColumns, { facts, reference }: RecordedProxy): RecordedStep[] {
  const B = columns.widthOf("domain");
  const domains = Int32Array.from(columns.lists("domain", B));
  if (domains.some((domain) => domain < 0 || domain >= facts.domains))
    throw damaged(columns.path, "a sequence is of a domain that there is not");
  const tokens = Float64Array.from(columns.lists("tokens", B));
  const loss = columns.float64Lists("loss", B);
  // Without a reference the loss is all that there is to exceed.
  const [excess, clipped] = reference
    ? [columns.float64Lists("excess", B), columns.float64Lists("clipped", B)]
    : [loss, loss];
  return rowsOf(columns, facts.domains, { domains, tokens, loss, excess, clipped }, B);
}

function stepsOfTrajectory(columns: BatchColumns, { facts }: RecordedProxy): RecordedStep[] {
  const K = facts.domains;
  const domains = Int32Array.from({ length: columns.rows * K }, (_, i) => i % K);
  const tokens = columns.float64Lists("domain_tokens", K);
  /** A mean times its tokens; a domain that was not in the batch has no mean. */
  const sums = (name: string) =>
    columns.float64Lists(name, K).map((mean, i) => (tokens[i] === 0 ? 0 : mean * tokens[i]!));
  const [loss, excess, clipped] = [sums("domain_loss"), sums("signed_excess"), sums("excess")];
  return rowsOf(columns, K, { domains, tokens, loss, excess, clipped }, K);
}

/** @param all of all rows behind each other, `width` sequences each */
function rowsOf(columns: BatchColumns, K: number, all: SequenceStatistics, width: number): RecordedStep[] {
  const steps = columns.numbers("step");
  const heldOut = columns.listsOrNull("held_out_loss", K);
  const alpha = columns.float64Lists("alpha", K);
  if (!alpha.every(Number.isFinite)) throw damaged(columns.path, "a domain weight is not a number");
  return Array.from({ length: columns.rows }, (_, row) => {
    const [from, to] = [row * width, (row + 1) * width];
    const sequences: SequenceStatistics = {
      domains: all.domains.subarray(from, to),
      tokens: all.tokens.subarray(from, to),
      loss: all.loss.subarray(from, to),
      excess: all.excess.subarray(from, to),
      clipped: all.clipped.subarray(from, to),
    };
    return { step: steps[row]!, sequences, heldOut: heldOut[row], alpha: alpha.subarray(row * K, (row + 1) * K) };
  });
}

function damaged(path: string, found: string): DoremiError {
  return new DoremiError("bad-data", "corrupt-file", `${path}: is damaged: ${found}; make it again`, { file: path });
}
