/**
 * The commands put together: what `doremi --help` shows, and from arguments to an exit status. Loads nothing of the
 * program's work until a command needs it.
 */
import { Command, CommanderError } from "commander";
import { nearestName } from "../lib/nearest.ts";
import { VERSION } from "../lib/version.ts";
import { countCommand } from "./commands/count.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { initCommand } from "./commands/init.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { materializeCommand } from "./commands/materialize.ts";
import { mergeCommand } from "./commands/merge.ts";
import { metricsCommand } from "./commands/metrics.ts";
import { planCommand } from "./commands/plan.ts";
import { replayCommand } from "./commands/replay.ts";
import { reportCommand } from "./commands/report.ts";
import { resampleCommand } from "./commands/resample.ts";
import { runCommand } from "./commands/run.ts";
import { trainCommand } from "./commands/train.ts";
import { verifyCommand } from "./commands/verify.ts";
import { watchCommand } from "./commands/watch.ts";
import { weightsCommand } from "./commands/weights.ts";
import { describeFailure } from "./failure.ts";
import { addExample } from "./options.ts";
import { debugAsked, printFailure, printResult, type SetStatus } from "./session.ts";

export function buildProgram(setStatus: SetStatus): Command {
  const program = new Command("doremi")
    .description(
      "Learn how much of each domain a language model should be trained on, and write the training set that says so.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .configureHelp({
      // A line or two each, as wide as the terminal: what a command takes, its own help says.
      subcommandTerm: (command) => command.name(),
      subcommandDescription: (command) => /^.*?\.(?=\s|$)/.exec(command.description())?.[0] ?? command.description(),
    })
    .showHelpAfterError(false)
    .exitOverride()
    // Faults of usage are printed with all others, below.
    .configureOutput({ outputError: () => {} });
  const commands = [
    initCommand,
    runCommand,
    planCommand,
    countCommand,
    mergeCommand,
    trainCommand,
    resampleCommand,
    evaluateCommand,
    verifyCommand,
    materializeCommand,
    exportCommand,
    inspectCommand,
    replayCommand,
    weightsCommand,
    reportCommand,
    watchCommand,
    metricsCommand,
    doctorCommand,
  ];
  for (const build of commands) {
    const command = build(setStatus);
    program.addCommand(command.copyInheritedSettings(program));
  }
  addExample(program, "doremi run pipelines/quickstart.yaml", "doremi help run");
  return program.addHelpText(
    "after",
    "One line of JSON on stdout is the result; all else goes to stderr.\n" +
      "Exit status: 0 done, 2 usage, 65 bad data, 66 missing input, 70 a fault of doremi,\n" +
      "73 cannot write, 75 a store did not answer, 77 no permission, 78 bad configuration,\n" +
      "75, 130, 143 interrupted with the state saved.",
  );
}

/** @param args without node and script @returns the exit status */
export async function runProgram(args: readonly string[]): Promise<number> {
  let status = 0;
  const program = buildProgram((value) => {
    status = value;
  });
  try {
    refuseUnknownHelp(args, program);
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help, --version
    const failure = describeFailure(error instanceof CommanderError ? withSuggestion(error, args, program) : error);
    const command = namedCommand(args, program);
    printFailure(command, failure, debugAsked() || args.includes("--debug"));
    if (failure.kind === "usage") process.stderr.write(`Try: doremi ${command === null ? "" : `${command} `}--help\n`);
    await printResult({ command, error: failure.error });
    return failure.status;
  }
}

/** Commander shows the help of the program for the help of a command that is not there. */
function refuseUnknownHelp([first, named]: readonly string[], program: Command): void {
  if (first !== "help" || named === undefined || named.startsWith("-") || named === "help") return;
  if (program.commands.some((command) => command.name() === named)) return;
  throw new CommanderError(1, "commander.unknownCommand", `error: unknown command '${named}'`);
}

/** The command that the arguments name, when there is one of this name. */
function namedCommand(args: readonly string[], program: Command): string | null {
  const name = args.find((arg) => !arg.startsWith("-"));
  return program.commands.some((command) => command.name() === name) ? name! : null;
}

/** Commander suggests nothing where a file was given in place of a command, and a pipeline file is the likely one. */
function withSuggestion(error: CommanderError, args: readonly string[], program: Command): CommanderError {
  const given = args.find((arg) => !arg.startsWith("-") && arg !== "help");
  if (error.code !== "commander.unknownCommand" || given === undefined || /Did you mean/i.test(error.message))
    return error;
  const known = program.commands.map((command) => command.name());
  const nearest = nearestName(given, known);
  const hint = /\.ya?ml$/i.test(given)
    ? `to run a pipeline file: doremi run ${given}`
    : nearest === undefined
      ? `the commands are ${known.join(", ")}`
      : `did you mean ${nearest}?`;
  return new CommanderError(error.exitCode, error.code, `${error.message} (${hint})`);
}
