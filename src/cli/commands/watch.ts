/** `doremi watch`: a run that goes on, as its report in a browser on this machine or as tables in this terminal. */
import { Command, InvalidArgumentError } from "commander";
import { describeFailure } from "../failure.ts";
import { addExample } from "../options.ts";
import { debugAsked, printFailure, printResult, type SetStatus } from "../session.ts";
import { SIGNAL_STATUS, watchSignals } from "../signals.ts";

interface WatchOptions {
  readonly port?: number;
  readonly terminal?: boolean;
  readonly once?: boolean;
  readonly debug?: boolean;
}

export function watchCommand(setStatus: SetStatus): Command {
  const command = new Command("watch")
    .description(
      "Show a run while it goes on, or when it is done: the page of `doremi report`, kept up to date, at a secret address " +
        "that this machine alone can open. Reads the run's folder and changes nothing in it. SIGINT (Ctrl-C) ends it.",
    )
    .argument("<run>", "the output folder of a run")
    .option("-p, --port <n>", "on 127.0.0.1 (default: any that is free)", portNumber)
    .option(
      "--terminal",
      "in this terminal, in place of a page: stages, losses, weights, until the run is over; where stderr is no terminal, once, at its end",
    )
    .option(
      "--once",
      "in this terminal, as it is now, and leave; the line on stdout has each stage's state and progress",
    )
    .option("--debug", "show where in the program an error came from (or DOREMI_DEBUG=1)");
  addExample(
    command,
    "doremi watch runs/quickstart",
    "doremi watch runs/mine --port 8080",
    "doremi watch runs/mine --terminal",
  );
  return command.action(async (run: string, options: WatchOptions) => {
    const signals = watchSignals({ onStop: () => {} });
    try {
      const [{ checkRunFolder }, { serveRun }] = await Promise.all([
        import("../../report/data/read.ts"),
        import("../../report/live/server.ts"),
      ]);
      await checkRunFolder(run);
      if (options.terminal || options.once) {
        const { watchInTerminal } = await import("../watching.ts");
        const once = options.once === true;
        const { state, pipeline, stages, status } = await watchInTerminal(run, process.stderr, {
          once,
          signal: signals.signal,
        });
        const failed = status?.error ? { failure: status.error } : {};
        await printResult({ command: "watch", state, pipeline, stages, ...failed });
        const received = signals.received();
        if (received !== undefined) setStatus(SIGNAL_STATUS[received]);
        return;
      }
      const server = await serveRun(run, options.port);
      await printResult({ command: "watch", url: server.address });
      process.stderr.write(`Watching ${run} at ${server.address}\n`);
      if (!signals.signal.aborted) {
        await new Promise((resolve) => signals.signal.addEventListener("abort", resolve, { once: true }));
      }
      await server.close();
      setStatus(SIGNAL_STATUS[signals.received()!]);
    } catch (error) {
      const failure = describeFailure(error);
      printFailure("watch", failure, options.debug === true || debugAsked());
      await printResult({ command: "watch", error: failure.error });
      setStatus(failure.status);
    } finally {
      signals.release();
    }
  });
}

function portNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535) {
    throw new InvalidArgumentError("It must be a port, from 1 to 65535.");
  }
  return value;
}
