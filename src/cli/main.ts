#!/usr/bin/env node
/** The `doremi` program: arguments in, exit status out. All that is worth testing alone is in program.ts. */
import { describeFailure } from "./failure.ts";
import { runProgram } from "./program.ts";
import { debugAsked, printFailure } from "./session.ts";

const args = process.argv.slice(2);

/** What no command caught: a fault of ours, or an output that cannot be written to. */
function leave(error: unknown): never {
  const failure = describeFailure(error);
  printFailure(null, failure, debugAsked() || args.includes("--debug"));
  process.exit(failure.status);
}

process.on("uncaughtException", leave);
// Whoever reads our output may leave early, as `head` does. That is no reason to fail, or to stop working.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") leave(error);
  });
}

const status = await runProgram(args);
// Threads that a library still holds must not keep a finished program alive.
process.exit(status);
