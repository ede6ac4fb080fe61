#!/usr/bin/env node
/** The `doremi` program: arguments in, exit status out. All that is worth testing is in program.ts. */
import { runProgram } from "./program.ts";

// Whoever reads our output may leave early, as `head` does. That is no reason to fail, or to stop working.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const status = await runProgram(process.argv.slice(2));
// Threads that a library still holds must not keep a finished program alive.
process.exit(status);
