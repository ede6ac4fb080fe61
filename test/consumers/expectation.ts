/**
 * What a stack must find in a manifest's documents: counted and hashed from readManifest and the tokenizer, without the
 * code that materializes.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { loadManifest } from "../../src/manifest/load.ts";
import { readManifest } from "../../src/pipeline/read-manifest.ts";
import { manifestTokenizer } from "../../src/pipeline/verify.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";

export interface Totals {
  readonly documents: number;
  readonly tokens: number;
}

export interface Expectation extends Totals {
  /** of domains with documents, in the manifest's order of domains */
  readonly domains: ReadonlyMap<string, Totals>;
  /** by layout and by what is hashed: UTF-8 texts, each with a zero byte behind it, or ids as uint32 little endian */
  readonly sha256: Readonly<Record<"mixed" | "domain", Readonly<Record<"texts" | "ids", string>>>>;
}

const ZERO = Buffer.alloc(1);

interface Found {
  documents: number;
  tokens: number;
  readonly texts: Buffer[];
  readonly ids: Buffer[];
}

/** @param path of manifest.json. Keeps the documents in memory: for sets of some hundred megabytes. */
export async function expectationOf(path: string): Promise<Expectation> {
  const manifest = await loadManifest(path);
  const tokenizer = await openTokenizer(await manifestTokenizer(manifest, dirname(path), {}));
  const mixed = { texts: createHash("sha256"), ids: createHash("sha256") };
  const found = new Map<string, Found>();
  for await (const { domain, text } of readManifest(path)) {
    const of = found.get(domain) ?? { documents: 0, tokens: 0, texts: [], ids: [] };
    found.set(domain, of);
    const tokens = tokenizer.encode(text);
    const ids = Buffer.from(Uint32Array.from(tokens).buffer);
    const copy = Buffer.from(text);
    mixed.texts.update(copy).update(ZERO);
    mixed.ids.update(ids);
    of.documents++;
    of.tokens += tokens.length;
    of.texts.push(copy, ZERO);
    of.ids.push(ids);
  }
  const ordered = manifest.domains.flatMap(({ name }) => {
    const of = found.get(name);
    return of ? ([[name, of]] as const) : [];
  });
  const inDomains = (what: "texts" | "ids") => {
    const hash = createHash("sha256");
    for (const [, of] of ordered) for (const part of of[what]) hash.update(part);
    return hash.digest("hex");
  };
  const sum = (of: (one: Found) => number) => ordered.reduce((total, [, one]) => total + of(one), 0);
  return {
    documents: sum((one) => one.documents),
    tokens: sum((one) => one.tokens),
    domains: new Map(ordered.map(([name, { documents, tokens }]) => [name, { documents, tokens }])),
    sha256: {
      mixed: { texts: mixed.texts.digest("hex"), ids: mixed.ids.digest("hex") },
      domain: { texts: inDomains("texts"), ids: inDomains("ids") },
    },
  };
}
