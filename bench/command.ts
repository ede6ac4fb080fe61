/** What the benchmarks' commands share: --help, a folder that is gone afterwards, and a line for what went wrong. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface BenchCommand<Options> {
  /** as npm calls it: bench:count */
  readonly name: string;
  readonly help: string;
  /** null: --help was asked for @throws Error with a message for people */
  parse(args: readonly string[]): Options | null;
  /** @param folder for files that nobody needs afterwards */
  measure(options: Options, folder: string): Promise<void>;
}

export async function runBench<Options>({ name, help, parse, measure }: BenchCommand<Options>): Promise<void> {
  try {
    const options = parse(process.argv.slice(2));
    if (options === null) {
      process.stdout.write(help);
      return;
    }
    const folder = await mkdtemp(join(tmpdir(), "doremi-bench-"));
    try {
      await measure(options, folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
