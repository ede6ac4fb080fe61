/**
 * What a failure looks like from outside: the message on stderr, the JSON line on stdout and the exit status. Decides
 * nothing about where they are written.
 */
import { CommanderError } from "commander";
import { DoremiError, type ErrorPlace, EXIT_STATUS, type PlainError, toPlainError } from "../lib/errors.ts";

export interface Failure {
  readonly status: number;
  /** for a person, without a stack */
  readonly message: string;
  /** for --debug */
  readonly stack: string | undefined;
  /** the `error` of the JSON line */
  readonly error: ErrorPlace & { readonly code: string; readonly message: string };
  readonly kind: PlainError["kind"];
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  const { kind, code, message, file, rowGroup, line } = toPlainError(isAbort(error) ? interrupted(error) : error);
  const unexpected = kind === "internal" && !(error instanceof DoremiError);
  return {
    status: EXIT_STATUS[kind],
    message: unexpected
      ? `${message}\nThis is a fault of doremi itself. Run again with --debug to see where, and report it.`
      : message,
    stack: stackOf(error),
    error: {
      code,
      message,
      ...(file !== undefined && { file }),
      ...(rowGroup !== undefined && { rowGroup }),
      ...(line !== undefined && { line }),
    },
    kind,
  };
}

/** What Node's own functions throw when the signal that they were given is aborted. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

function interrupted(cause: unknown): DoremiError {
  return new DoremiError("interrupted", "interrupted", "stopped before it was done; run the same command again", {
    cause,
  });
}

/** commander.unknownOption → unknown-option; its message already names the nearest option. */
function usageFailure(error: CommanderError): Failure {
  const code = error.code.replace(/^commander\./, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  // A bare `doremi` shows its help, which is no message.
  const missing = code === "help" ? "needs a command" : error.message;
  const message = missing.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return { status: EXIT_STATUS.usage, message, stack: error.stack, error: { code, message }, kind: "usage" };
}

/** The stack, and those of the causes. */
function stackOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause = error.cause === undefined ? undefined : stackOf(error.cause);
  return cause === undefined ? error.stack : `${error.stack}\ncaused by ${cause}`;
}
