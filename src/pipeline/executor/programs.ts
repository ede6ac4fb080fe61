/** Calls the programs of a cluster, sbatch or kubectl, and makes what they say about a failure ours. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { DoremiError } from "../../lib/errors.ts";

const execute = promisify(execFile);
/** A controller that is busy answers late; one that is gone does not. */
const TIMEOUT_MS = 120_000;
const MAX_OUTPUT = 256 << 20;

export interface CallOptions {
  /** on its standard input */
  readonly input?: string;
}

/** @returns what it printed @throws DoremiError missing-program, cluster */
export async function call(program: string, args: readonly string[], { input }: CallOptions = {}): Promise<string> {
  try {
    const running = execute(program, [...args], { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT });
    if (input !== undefined) running.child.stdin?.end(input);
    return (await running).stdout;
  } catch (error) {
    const { code, stderr = "" } = error as { code?: string | number; stderr?: string };
    if (code === "ENOENT") {
      throw new DoremiError(
        "bad-configuration",
        "missing-program",
        `${program}: the executor needs it in the PATH, and it is not there; run this where jobs are submitted, or with --executor local`,
        { cause: error },
      );
    }
    const said = stderr.trim().split("\n").slice(-3).join(" ") || String((error as Error).message).split("\n")[0];
    throw new DoremiError("cannot-write", "cluster", `${program} ${args[0] ?? ""}: ${said}`, { cause: error });
  }
}
