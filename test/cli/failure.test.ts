import { CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { describeFailure } from "../../src/cli/failure.ts";
import { DoremiError, type ErrorKind, EXIT_STATUS } from "../../src/lib/errors.ts";

describe("describeFailure", () => {
  it.each(Object.entries(EXIT_STATUS))("a %s error exits with %d", (kind, status) => {
    expect(describeFailure(new DoremiError(kind as ErrorKind, "truncated", "message")).status).toBe(status);
  });

  it("keeps the place for scripts", () => {
    const error = new DoremiError("bad-data", "truncated", "a.parquet: ends early", { file: "a.parquet", rowGroup: 3 });
    expect(describeFailure(error).error).toEqual({
      code: "truncated",
      message: "a.parquet: ends early",
      file: "a.parquet",
      rowGroup: 3,
    });
  });

  it("turns commander's faults into usage errors with stable codes", () => {
    const failure = describeFailure(
      new CommanderError(1, "commander.unknownOption", "error: unknown option '--x'\n(Did you mean --y?)"),
    );
    expect(failure).toMatchObject({ status: 2, message: "unknown option '--x' (Did you mean --y?)" });
    expect(failure.error.code).toBe("unknown-option");
  });

  it("says that a fault of our own is ours, and shows no stack in the message", () => {
    const failure = describeFailure(new TypeError("x is not a function"));
    expect(failure.status).toBe(70);
    expect(failure.message).toMatch(/^x is not a function\nThis is a fault of doremi itself/);
    expect(failure.message).not.toMatch(/ at /);
    expect(failure.stack).toMatch(/TypeError/);
  });

  it("takes an AbortError for an interruption", () => {
    expect(describeFailure(AbortSignal.abort().reason)).toMatchObject({ kind: "interrupted", status: 75 });
  });

  it("says a missing file in our words", () => {
    const error = Object.assign(new Error("ENOENT"), { code: "ENOENT", syscall: "open", path: "/x/y" });
    expect(describeFailure(error)).toMatchObject({ status: 66, error: { code: "missing-file", file: "/x/y" } });
  });
});
