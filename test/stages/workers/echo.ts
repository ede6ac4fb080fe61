/** Test worker: waits, then gives back its number, or fails. */
import { DoremiError } from "../../../src/lib/errors.ts";
import { asWorker } from "../../../src/stages/pool.ts";

export default asWorker(async ({ value, waitMs, fail }: { value: number; waitMs: number; fail?: boolean }) => {
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  if (fail) throw new DoremiError("bad-data", "corrupt", `number ${value} is bad`, { file: "f", rowGroup: value });
  return value;
});
