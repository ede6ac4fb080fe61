/** Every shard of a real corpus of eight domains gives the documents, bytes and hash that golden.json states. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readAll, textSha256 } from "./reading.ts";

interface Golden {
  readonly domains: Readonly<Record<string, Domain>>;
  readonly mixed?: Domain;
}
interface Domain {
  readonly shards: Readonly<
    Record<string, { readonly documents: number; readonly bytes: number; readonly text_sha256: string }>
  >;
}

const corpus = join(process.env.DOREMI_SHARED ?? "../shared", "corpus");
const there = existsSync(corpus);

describe.skipIf(!there)(`corpus${there ? "" : ` (left out: ${corpus} is not there)`}`, () => {
  const golden = there ? (JSON.parse(readFileSync(join(corpus, "golden.json"), "utf8")) as Golden) : { domains: {} };
  const folders = Object.entries({ ...golden.domains, ...(golden.mixed && { mixed: golden.mixed }) });
  const shards = folders.flatMap(([folder, { shards }]) =>
    Object.entries(shards).map(([name, want]) => ({ folder, name, want })),
  );

  it.each(shards)("$folder/$name", async ({ folder, name, want }) => {
    const columns = { text: "text", ...(folder === "mixed" && { domain: "meta.pile_set_name" }) };
    const { rows, domains } = await readAll(join(corpus, folder, name), columns);
    expect(rows).toHaveLength(want.documents);
    expect(rows.reduce((sum, row) => sum + row!.length, 0)).toBe(want.bytes);
    expect(textSha256(rows)).toBe(want.text_sha256);
    if (folder === "mixed") expect(domains.filter((domain) => domain === null)).toHaveLength(0);
  });
});
