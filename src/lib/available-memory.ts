/** How much memory this process may use: the machine's, or that of the cgroup that it runs in. */
import { freemem, totalmem } from "node:os";

export interface AvailableMemory {
  /** what there is, whoever has it now: more can never be had, bytes */
  readonly limit: number;
  /** what nobody uses now, bytes */
  readonly available: number;
}

export function availableMemory(): AvailableMemory {
  // 0 or an absurd number where no cgroup sets a limit
  const constrained = process.constrainedMemory();
  const limit = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { limit, available: Math.min(limit, freemem()) };
}
