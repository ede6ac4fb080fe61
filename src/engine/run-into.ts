/**
 * Runs a session whose results all go into arrays of the caller's. ONNX Runtime writes them there, but its binding for Node
 * then makes a copy of every tensor for the result of the call, which nobody reads: as much memory again as the outputs,
 * and the time to fill it. It returns outputs in their order and stops at one that is not a tensor; so the graph has an
 * empty sequence for its first output.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";

/** Name of that output. */
export const WRITTEN = "engine/written";

/** How the binding answers for it. A binding that can return sequences, or needs no copies, will not. */
const REFUSAL = /^Non tensor type is temporarily not supported\.$/;

/** @param into a tensor for each of the graph's outputs, which are complete when this returns */
export async function runInto(
  session: InferenceSession,
  feeds: Readonly<Record<string, OrtTensor>>,
  into: Readonly<Record<string, OrtTensor>>,
): Promise<void> {
  try {
    await session.run(feeds, { [WRITTEN]: null, ...into });
  } catch (error) {
    if (!(error instanceof Error && REFUSAL.test(error.message))) throw error;
  }
}
