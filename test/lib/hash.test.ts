import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalJson, sha256, sha256File, sha256Json } from "../../src/lib/hash.ts";

it("is SHA-256 (FIPS 180-2 vectors)", () => {
  expect(sha256("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(sha256(new Uint8Array(0))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

it("hashes files of any size as their bytes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-hash-"));
  try {
    for (const size of [0, 1, (1 << 20) - 1, (1 << 20) + 1]) {
      const bytes = new Uint8Array(size).map((_, i) => i * 31);
      await writeFile(join(folder, "f"), bytes);
      expect(await sha256File(join(folder, "f"))).toBe(sha256(bytes));
    }
    await expect(sha256File(join(folder, "none"))).rejects.toThrow(/ENOENT/);
    await expect(sha256File(join(folder, "f"), AbortSignal.abort())).rejects.toThrow(/abort/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("spells JSON one way, whatever the order of the keys", () => {
  expect(canonicalJson({ b: [1, { d: 1, c: 2 }], a: undefined, é: null })).toBe('{"b":[1,{"c":2,"d":1}],"é":null}');
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(sha256Json(reversed)).toBe(sha256Json(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
