/** The engine on this machine's processors: programs are traced to ONNX and run by ONNX Runtime. */
import { availableParallelism } from "node:os";
import { DoremiError } from "../lib/errors.ts";
import type { Engine, Precision } from "./engine.ts";
import { loadOrt, OrtEngine } from "./ort.ts";
import { forCpu } from "./passes/for-cpu.ts";

export const CPU_PRECISIONS: readonly Precision[] = ["float32"];

export interface CpuEngineOptions {
  /** threads of one operation, of which no more than processors that this process may use, which is the default */
  readonly threads?: number;
  /** of files that get the time of every operation, in Chrome's trace format, when a program is closed; default: none */
  readonly profilePrefix?: string;
}

/**
 * Threads that compute. They wait for each other without sleeping, so that more than there are processors come to a
 * standstill; a pipeline file that names more was written for a larger machine.
 *
 * @throws DoremiError threads
 */
export function cpuThreads(wanted = availableParallelism(), processors = availableParallelism()): number {
  if (Number.isSafeInteger(wanted) && wanted >= 1) return Math.min(wanted, processors);
  throw new DoremiError(
    "bad-configuration",
    "threads",
    `engine: threads must be an integer ≥ 1, found ${wanted}; leave it out to use all processors`,
  );
}

export async function createCpuEngine(options: CpuEngineOptions = {}): Promise<Engine> {
  const threads = cpuThreads(options.threads);
  return new OrtEngine(await loadOrt(), {
    name: "cpu",
    device: `${threads} ${threads === 1 ? "thread" : "threads"}`,
    memory: "host",
    precisions: CPU_PRECISIONS,
    runsAtOnce: 1,
    adapt: forCpu,
    session: {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // Its own rewriting would undo the order of nodes, and compute once what is to be computed again to save memory.
      graphOptimizationLevel: "disabled",
      enableCpuMemArena: true,
      // Planning one block for all intermediate values costs memory and was not faster.
      enableMemPattern: false,
      logSeverityLevel: 3,
      ...(options.profilePrefix !== undefined && {
        enableProfiling: true,
        profileFilePrefix: options.profilePrefix,
      }),
    },
  });
}
