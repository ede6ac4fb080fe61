/** Safetensors: exact bytes of a small file, round trips, 16-bit floats, and headers that do not fit the file. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-safetensors-"));
  path = join(folder, "a.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

/** A file from a header (JSON or text) and data bytes. */
async function craft(header: unknown, data: Uint8Array = new Uint8Array(0)): Promise<string> {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await writeFile(path, Buffer.concat([length, json, data]));
  return path;
}

describe("writeSafetensors", () => {
  test("writes the format's bytes: header padded to eight, tensors in order", async () => {
    await writeSafetensors(
      path,
      { b: { shape: [2], data: Int32Array.of(1, -1) }, a: { shape: [], data: Float32Array.of(1) } },
      { format: "pt" },
    );
    const bytes = await readFile(path);
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    expect(headerBytes % 8).toBe(0);
    expect(JSON.parse(bytes.subarray(8, 8 + headerBytes).toString())).toEqual({
      __metadata__: { format: "pt" },
      b: { dtype: "I32", shape: [2], data_offsets: [0, 8] },
      a: { dtype: "F32", shape: [], data_offsets: [8, 12] },
    });
    expect(bytes.subarray(8 + headerBytes).toString("hex")).toBe("01000000ffffffff0000803f");
    expect(await readdir(folder)).toEqual(["a.safetensors"]);
  });

  test("what is written is read back", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((name) => name !== "__metadata__" && name !== "__proto__"),
          fc.float32Array(),
        ),
        async (tensors) => {
          await writeSafetensors(
            path,
            Object.fromEntries(
              Object.entries(tensors).map(([name, data]) => [name, { shape: [1, data.length], data }]),
            ),
          );
          await using file = await openSafetensors(path);
          expect([...file.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
          for (const [name, data] of Object.entries(tensors)) expect(await file.readFloat32(name)).toEqual(data);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("openSafetensors", () => {
  test("widens 16-bit floats: normal, subnormal, signed zero, infinity", async () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8000, 0x7c00, 0x3555);
    await craft(
      {
        h: { dtype: "F16", shape: [9], data_offsets: [0, 18] },
        b: { dtype: "BF16", shape: [2], data_offsets: [18, 22] },
      },
      Buffer.concat([new Uint8Array(halves.buffer), new Uint8Array(Uint16Array.of(0x3f80, 0xc049).buffer)]),
    );
    await using file = await openSafetensors(path);
    expect(Array.from(await file.readFloat32("h"))).toEqual([
      1,
      -2,
      65504,
      2 ** -14,
      1023 * 2 ** -24,
      2 ** -24,
      -0,
      Number.POSITIVE_INFINITY,
      0.333251953125,
    ]);
    expect(Array.from(await file.readFloat32("b"))).toEqual([1, -3.140625]);
  });

  test.each([
    ["a header that is no JSON", "{", /must be JSON/],
    ["a header that is a list", "[]", /JSON object/],
    ["an unknown type", { a: { dtype: "F31", shape: [1], data_offsets: [0, 4] } }, /dtype must be one of/],
    ["a type that is no string", { a: { dtype: { toString: 5 }, shape: [] } }, /one of .*, found {"toString":5}$/],
    [
      "offsets that are no numbers",
      { a: { dtype: "U8", shape: [1], data_offsets: [{ toString: 5 }, 1] } },
      /bytes {"toString":5} to 1 do not hold/,
    ],
    ["a negative size", { a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }, /list of integers/],
    [
      "bytes that do not fit the shape",
      { a: { dtype: "F32", shape: [2], data_offsets: [0, 4] } },
      /do not hold F32 \[2\]/,
    ],
    ["bytes past the end", { a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, /within the file's 4 data bytes/],
    ["no offsets", { a: { dtype: "F32", shape: [1] } }, /do not hold/],
    ["a hole", { a: { dtype: "U8", shape: [1], data_offsets: [0, 1] } }, /cover 1 bytes, but the file has 4/],
  ])("refuses %s", async (_what, header, message) => {
    await craft(header, new Uint8Array(4));
    await expect(openSafetensors(path)).rejects.toThrow(message);
    await expect(openSafetensors(path)).rejects.toMatchObject({ kind: "bad-data", file: path });
  });

  test("refuses a file that is cut, an empty one and a missing tensor", async () => {
    await writeSafetensors(path, { a: { shape: [4], data: new Float32Array(4) } });
    const whole = await readFile(path);
    for (const length of [0, 7, 20, whole.length - 1]) {
      await writeFile(path, whole.subarray(0, length));
      await expect(openSafetensors(path)).rejects.toMatchObject({ kind: "bad-data", file: path });
    }
    await writeFile(path, whole);
    await using file = await openSafetensors(path);
    await expect(file.read("b")).rejects.toMatchObject({ code: "missing-tensor" });
  });
});
