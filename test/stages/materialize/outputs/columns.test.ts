import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { sha256 } from "../../../../src/lib/hash.ts";
import type { Manifest } from "../../../../src/manifest/contract.ts";
import type { MaterializedSet } from "../../../../src/manifest/materialized.ts";
import type { OutputDocument } from "../../../../src/stages/materialize/output-format.ts";
import { arrow } from "../../../../src/stages/materialize/outputs/arrow.ts";
import { parquet } from "../../../../src/stages/materialize/outputs/parquet.ts";
import { document, writeShard } from "./writing.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-columns-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;

/** Empty, long, foreign and no UTF-8 at all; more than goes into one stretch. */
const TEXTS: readonly (string | Uint8Array)[] = [
  "",
  "\ufeffa byte order mark, and a zero \0 byte",
  "naïve 詩 🦆",
  Uint8Array.of(0x61, 0xff, 0xc3, 0x62),
  "x".repeat(5 * MIB),
  "y".repeat(4 * MIB),
  "z".repeat(9 * MIB),
  "last",
];
const DOCUMENTS: readonly OutputDocument[] = TEXTS.map((text, i) =>
  document(2 ** 33 + i, {
    text: typeof text === "string" ? new TextEncoder().encode(text) : text,
    domain: i % 2 ? "web" : "livres/été",
    epoch: i,
    file: `part-${i % 3}.jsonl`,
    tokens: 2 ** 31 - 1 - i,
  }),
);
const ROWS = DOCUMENTS.map(({ domain, epoch, file, row, tokens }, i) => ({
  text: i === 3 ? "a\ufffd\ufffdb" : TEXTS[i],
  domain,
  epoch,
  source: file,
  row: BigInt(row),
  tokens,
}));

/** Two small ones and the first long one fill a stretch; the second fits with nothing before or behind it. */
const STRETCHES = [5, 1, 1, 1];

async function parquetRows(path: string) {
  const file = await asyncBufferFromFile(path);
  return parquetReadObjects({ file });
}

describe("parquet", () => {
  it("has every document as a row, in row groups of bounded size", async () => {
    await writeShard(parquet, folder, DOCUMENTS);
    const path = join(folder, "part-00000.parquet");
    const rows = await parquetRows(path);
    expect(rows.length).toBe(ROWS.length);
    const withoutMark = String(TEXTS[1]).slice(1); // hyparquet drops a byte order mark; pyarrow does not, see below
    // one by one: a failure would print megabytes
    for (const [i, row] of rows.entries()) {
      expect(row.text === (i === 1 ? withoutMark : ROWS[i]!.text)).toBe(true);
      expect({ ...row, text: "" }).toEqual({ ...ROWS[i], text: "" });
    }
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path));
    expect(metadata.row_groups.map(({ num_rows }) => Number(num_rows))).toEqual(STRETCHES);
    expect(metadata.schema.map(({ name, converted_type }) => [name, converted_type])).toEqual([
      ["documents", undefined],
      ["text", "UTF8"],
      ["domain", "UTF8"],
      ["epoch", undefined],
      ["source", "UTF8"],
      ["row", undefined],
      ["tokens", undefined],
    ]);
  });

  it("has the same bytes on every machine and Node", async () => {
    await writeShard(parquet, folder, DOCUMENTS);
    // pyarrow 26 reads exactly these rows from the file with this hash
    expect(sha256(readFileSync(join(folder, "part-00000.parquet")))).toBe(
      "b98b52c430c17bedd328ec626c56ff782a1e311bfcb36aed41d38e371e22199b",
    );
  });
});

describe("arrow", () => {
  it("has every document as a row, in record batches of bounded size", async () => {
    await writeShard(arrow, folder, DOCUMENTS);
    const table = tableFromIPC(readFileSync(join(folder, "part-00000.arrow")));
    expect(table.batches.map(({ numRows }) => numRows)).toEqual(STRETCHES);
    expect(table.schema.fields.map(({ name, type, nullable }) => `${name} ${type} ${nullable}`)).toEqual([
      "text Utf8 false",
      "domain Utf8 false",
      "epoch Int32 false",
      "source Utf8 false",
      "row Int64 false",
      "tokens Int32 false",
    ]);
    // as Parquet: apache-arrow's decoder drops a byte order mark
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let i = 0;
    for (const batch of table.batches) {
      const { valueOffsets, values } = batch.getChild("text")!.data[0]!;
      for (let row = 0; row < batch.numRows; row++, i++) {
        const text = decoder.decode(values.subarray(valueOffsets[row], valueOffsets[row + 1]));
        expect(text === ROWS[i]!.text).toBe(true);
        expect({ ...batch.get(row)!.toJSON(), text: "" }).toEqual({ ...ROWS[i], text: "" });
      }
    }
    expect(i).toBe(ROWS.length);
  });

  it("has the same bytes on every machine and Node", async () => {
    await writeShard(arrow, folder, DOCUMENTS);
    // pyarrow 26 reads exactly these rows from the file with this hash
    expect(sha256(readFileSync(join(folder, "part-00000.arrow")))).toBe(
      "142cce28f832d260803d1cfc46abbe7d238225a1a9126767b90534b20f41110b",
    );
  });
});

it.each([parquet, arrow])("$name leaves nothing behind when it is discarded", async (format) => {
  const name = "part-00000";
  const request = { folder, index: 0, name, documents: 2, vocabularySize: 100, separator: null, compression: null };
  const writer = await format.openShard(request);
  await writer.write(DOCUMENTS[1]!);
  await writer.discard();
  expect(readdirSync(folder)).toEqual([]);
});

describe("the dataset card", () => {
  const manifest = {
    name: "tiny",
    domains: ["web", "a|b"].map((name) => ({
      name,
      selectedDocuments: 8,
      achievedTokens: 80,
      achievedWeight: 0.5,
      epochs: 1.25,
    })),
  } as unknown as Manifest;

  const head = async (set: MaterializedSet) => {
    const [card] = await parquet.setFiles!(set, manifest, folder);
    expect(card!.path).toBe("README.md");
    const [, yaml, body] = card!.content.split("---\n");
    return { yaml: parse(yaml!), body: body! };
  };

  it("names the files, the columns and how many rows there are", async () => {
    const set = await writeShard(parquet, folder, DOCUMENTS);
    const { yaml, body } = await head(set);
    expect(yaml.configs).toEqual([
      { config_name: "default", default: true, data_files: [{ split: "train", path: ["part-*.parquet"] }] },
    ]);
    const [info] = yaml.dataset_info;
    expect(info.splits).toEqual([{ name: "train", num_bytes: info.dataset_size, num_examples: 8 }]);
    expect(info.dataset_size).toBeGreaterThan(18 * MIB);
    expect(info.dataset_size).toBeLessThan(19 * MIB);
    expect(info.features.map(({ name, dtype }: Record<string, string>) => `${name}: ${dtype}`)).toEqual([
      "text: string",
      "domain: string",
      "epoch: int32",
      "source: string",
      "row: int64",
      "tokens: int32",
    ]);
    expect(body).toContain("| a\\|b | 8 | 80 | 0.5000 | 1.25 |");
    expect(body).toContain("8 documents of");
  });

  it("has a configuration for each domain that has a folder, also where one is called default", async () => {
    const { groups, ...rest } = await writeShard(parquet, folder, DOCUMENTS.slice(0, 3));
    const [group] = groups;
    const set: MaterializedSet = {
      ...rest,
      layout: "domain",
      groups: ["default", "a_b"].map((name) => ({ ...group!, domain: name, folder: name, shards: [] })),
    };
    const { yaml } = await head(set);
    expect(yaml.configs).toEqual([
      {
        config_name: "all-domains",
        default: true,
        data_files: [{ split: "train", path: ["default/part-*.parquet", "a_b/part-*.parquet"] }],
      },
      { config_name: "default", data_files: [{ split: "train", path: ["default/part-*.parquet"] }] },
      { config_name: "a_b", data_files: [{ split: "train", path: ["a_b/part-*.parquet"] }] },
    ]);
  });
});
