import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import {
  DoremiError,
  type ErrorKind,
  EXIT_STATUS,
  fromPlainError,
  toPlainError,
  withPlace,
} from "../../src/lib/errors.ts";

describe("errors as plain data", () => {
  it.each(Object.keys(EXIT_STATUS) as ErrorKind[])("round trip: %s", (kind) => {
    const error = new DoremiError(kind, "truncated", "who: rule", { file: "a.parquet", rowGroup: 0, line: 3 });
    const plain = structuredClone(toPlainError(error));
    const back = fromPlainError(plain);
    expect(back).toBeInstanceOf(DoremiError);
    expect(back.exitStatus).toBe(EXIT_STATUS[kind]);
    expect(toPlainError(back)).toEqual(toPlainError(error));
    expect({ ...back, message: back.message }).toEqual({ ...error, message: error.message });
  });

  it("leave out places that are not known", () => {
    expect(toPlainError(new DoremiError("usage", "truncated", "m"))).toEqual({
      kind: "usage",
      code: "truncated",
      message: "m",
    });
  });

  it("keep message and stack of a foreign error, and call it internal", () => {
    const plain = toPlainError(new TypeError("x is not a function"));
    expect(plain).toMatchObject({ kind: "internal", code: "internal", message: "x is not a function" });
    expect(fromPlainError(plain).stack).toMatch(/errors\.test/);
    expect(toPlainError("just text").message).toBe("just text");
    expect(toPlainError(undefined).message).toBe("undefined");
  });

  it("put Node's file errors into our words", async () => {
    const error = await readFile("/no/such/file").catch((cause: unknown) => cause);
    expect(toPlainError(error)).toEqual({
      kind: "missing-input",
      code: "missing-file",
      message: "/no/such/file: no such file or folder; check the path",
      file: "/no/such/file",
    });
    const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "write" });
    expect(toPlainError(full)).toMatchObject({ kind: "cannot-write", code: "disk-full" });
  });

  it("take a place from outside only where they have none", () => {
    const bare = withPlace(new DoremiError("bad-data", "truncated", "m"), { file: "f", rowGroup: 2 });
    expect([bare.file, bare.rowGroup, bare.code]).toEqual(["f", 2, "truncated"]);
    const placed = withPlace(new DoremiError("bad-data", "truncated", "m", { file: "inner" }), { file: "outer" });
    expect(placed.file).toBe("inner");
  });
});
