/** Test worker: takes its time to load what it needs, and then counts its calls where the test can see it. */
import { asWorker } from "../../../src/stages/pool.ts";

let isLoaded = false;

export default asWorker(async ({ reached, loadingMs }: { reached: Int32Array; loadingMs: number }) => {
  if (!isLoaded) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, loadingMs);
  isLoaded = true;
  return Atomics.add(reached, 0, 1);
});
