/** Test worker: computes without a pause, as a tokenizer does, for so many milliseconds. */
import { asWorker } from "../../../src/stages/pool.ts";

export default asWorker(async ({ value, busyMs }: { value: number; busyMs: number }) => {
  const end = performance.now() + busyMs;
  while (performance.now() < end);
  return value;
});
