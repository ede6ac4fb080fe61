/** Counting through a pipeline: what is counted again and what is not, and which domain a row is of. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type RunOptions, runPipeline } from "../../../src/pipeline/run.ts";
import { verify } from "../../../src/pipeline/verify.ts";
import { readCountedShards } from "../../../src/stages/count/counted-shards.ts";
import type { StageEvent } from "../../../src/stages/stage.ts";
import { smallPipeline, temporaryFolder } from "../../e2e/small.ts";

type Settings = NonNullable<Parameters<typeof smallPipeline>[1]>;
type Counted = Extract<StageEvent, { type: "counted" }>;

/** A shard of three documents of a domain each. */
function writeShard(folder: string, name: string, documents: readonly Record<string, unknown>[]): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
  return path;
}

function corpus(folder: string, shards: Readonly<Record<string, number>>): void {
  for (const [name, words] of Object.entries(shards))
    writeShard(folder, name, [{ text: `${name} ${"word ".repeat(words)}` }, { text: "another document" }]);
}

async function countOf(output: string, settings: Settings, options: RunOptions = {}) {
  let counted: Counted | undefined;
  const notes: string[] = [];
  const pipeline = smallPipeline(output, { tokenizer: "r50k", count: {}, workers: 1, ...settings });
  const { count } = await runPipeline(pipeline, {
    until: "count",
    ...options,
    onEvent: (event) => {
      if (event.type === "counted") counted = event;
      if (event.type === "note") notes.push(event.message);
      options.onEvent?.(event);
    },
  });
  const tokens = Object.fromEntries(count!.domains.map((domain) => [domain.name, domain.tokens]));
  return { count: count!, tokens, counted, notes, folder: join(output, "count") };
}

/** counts.json and the counts files, by name: what must not depend on how a count came about */
function result(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter(
    (name) => name.endsWith(".arrow") || /^(counts\.json|shards\.jsonl)$/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "base64")]));
}

describe("counts that were made before", () => {
  it("are kept when a shard changes, is added, or is moved, and give what a count of all gives", async () => {
    const folder = temporaryFolder();
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    corpus(join(folder, "data"), { "a/0.jsonl": 3, "a/1.jsonl": 40, "b/0.jsonl": 500 });
    const run = (name: string, settings: Settings = {}) =>
      countOf(join(folder, name), { data, cache: false, ...settings });
    expect((await run("out")).counted).toMatchObject({ shards: 3, kept: 0 });

    appendFileSync(join(folder, "data/a/1.jsonl"), '{"text":"one more"}\n');
    expect((await run("out")).counted).toMatchObject({ shards: 1, kept: 2 });

    corpus(join(folder, "data"), { "0/0.jsonl": 70 }); // a domain before all others
    expect((await run("out")).counted).toMatchObject({ shards: 1, kept: 3 });

    utimesSync(join(folder, "data/b/0.jsonl"), 1, 1);
    renameSync(join(folder, "data/a/0.jsonl"), join(folder, "data/b/1.jsonl"));
    const last = await run("out");
    expect(last.counted).toMatchObject({ shards: 0, kept: 4 });

    const whole = await run("fresh");
    expect(whole.counted).toMatchObject({ shards: 4, kept: 0 });
    expect(result(last.folder)).toEqual(result(whole.folder));
    expect(last.tokens).toEqual(whole.tokens);
  });

  it("are kept under another list or policy of domains, which changes no row", async () => {
    const folder = temporaryFolder();
    const rows = ["x", "y", "y", null].map((set, i) => ({ text: `document ${i}`, set }));
    writeShard(folder, "data/0.jsonl", rows);
    const data = { files: join(folder, "data/*"), domainColumn: "set", heldOut: "none" as const };
    const run = (more: Partial<Settings["data"]>) => countOf(join(folder, "out"), { data: { ...data, ...more } });
    await run({ onUnlistedDomain: "drop" });
    const listed = await run({ onUnlistedDomain: { domain: "rest" }, domains: ["y"] });
    expect(listed.counted).toMatchObject({ shards: 0, kept: 1 });
    expect(listed.count.domains.map(({ name, documents }) => [name, documents])).toEqual([
      ["y", 2],
      ["rest", 2],
    ]);
  });

  it("serve another pipeline through the cache, and nobody when anything differs", async () => {
    const folder = temporaryFolder();
    const cache = join(folder, "cache");
    corpus(join(folder, "data"), { "a/0.jsonl": 3, "b/0.jsonl": 500 });
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    const both = { data, cache, count: { tokenizers: ["cl100k"] } };
    const first = await countOf(join(folder, "one"), both);
    expect(first.counted).toMatchObject({ shards: 2, cached: 0 });

    cpSync(join(folder, "data"), join(folder, "elsewhere"), { recursive: true });
    renameSync(join(folder, "elsewhere/b"), join(folder, "elsewhere/c"));
    const moved = { ...data, files: join(folder, "elsewhere/{domain}/*") };
    const second = await countOf(join(folder, "two"), { data: moved, cache, tokenizer: "cl100k" });
    expect(second.counted).toMatchObject({ shards: 0, kept: 2, cached: 2 });
    expect(second.tokens).toEqual({
      a: { cl100k: first.tokens.a!.cl100k },
      c: { cl100k: first.tokens.b!.cl100k },
    });

    for (const [name, settings] of Object.entries<Settings>({
      "another tokenizer": { ...both, tokenizer: "o200k" },
      "special tokens": { ...both, specialTokens: "parse" },
      "another column": { ...both, data: { ...data, domainColumn: "text", onUnlistedDomain: "drop" } },
      "no cache": { ...both, cache: false },
    })) {
      expect((await countOf(join(folder, name), settings)).counted, name).toMatchObject({ shards: 2, cached: 0 });
    }

    for (const name of readdirSync(cache)) if (name.endsWith(".arrow")) truncateSync(join(cache, name), 100);
    const torn = await countOf(join(folder, "torn"), both);
    expect(torn.counted).toMatchObject({ shards: 2, cached: 0 });
    expect(torn.tokens).toEqual(first.tokens);
  });

  it("lie beside the output by default, and a folder that cannot be written costs only a note", async () => {
    const folder = temporaryFolder();
    corpus(join(folder, "data"), { "a/0.jsonl": 3 });
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    await countOf(join(folder, "one"), { data });
    expect(readdirSync(join(folder, ".doremi-cache")).some((name) => name.endsWith(".counts.arrow"))).toBe(true);
    expect((await countOf(join(folder, "two"), { data })).counted).toMatchObject({ cached: 1 });

    writeFileSync(join(folder, "file"), "");
    const { notes, counted } = await countOf(join(folder, "three"), { data, cache: join(folder, "file/cache") });
    expect(counted).toMatchObject({ shards: 1 });
    expect(notes.join()).toMatch(/not kept in the cache/);
  });

  it("are shared by two runs at once", async () => {
    const folder = temporaryFolder();
    const cache = join(folder, "cache");
    corpus(join(folder, "data"), { "a/0.jsonl": 3, "b/0.jsonl": 90 });
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    const [one, two] = await Promise.all(["one", "two"].map((name) => countOf(join(folder, name), { data, cache })));
    expect(result(one!.folder)).toEqual(result(two!.folder));
    expect((await countOf(join(folder, "three"), { data, cache })).counted).toMatchObject({ cached: 2 });
  });

  it("of an interrupted count are gone on from, with progress that starts there", async () => {
    const folder = temporaryFolder();
    // Groups of 512 small shards: two whole ones and the beginning of a third.
    corpus(
      join(folder, "data/a"),
      Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`${String(i).padStart(5, "0")}.jsonl`, i % 7])),
    );
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    const stop = new AbortController();
    const settings = { data, cache: false };
    const stopped = countOf(join(folder, "out"), settings, {
      signal: stop.signal,
      onEvent: () => {
        const work = join(folder, "out/.doremi/work");
        const names = existsSync(work) ? readdirSync(work, { recursive: true }).map(String) : [];
        if (names.some((name) => name.endsWith("00000.counts.arrow.kept.jsonl"))) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ kind: "interrupted" });

    const events: Extract<StageEvent, { type: "progress" }>[] = [];
    const again = await countOf(join(folder, "out"), settings, {
      onEvent: (event) => void (event.type === "progress" && event.stage === "count" && events.push(event)),
    });
    expect(again.counted!.kept).toBeGreaterThanOrEqual(512);
    expect(again.counted!.kept + again.counted!.shards).toBe(1100);
    expect(events[0]!.done).toBeGreaterThan(0);
    expect(events[0]!.unit).toBe("bytes");
    expect(events.at(-1)!.done).toBe(events.at(-1)!.total);
    const whole = await countOf(join(folder, "fresh"), settings);
    expect(result(again.folder)).toEqual(result(whole.folder));
    expect(readdirSync(again.folder).filter((name) => name.endsWith(".arrow"))).toHaveLength(3);
    const shards = await readCountedShards(again.folder, again.count.shards);
    expect(shards.map((shard) => shard.path)).toEqual(
      Array.from({ length: 1100 }, (_, i) => `${String(i).padStart(5, "0")}.jsonl`),
    );
  }, 60_000);

  it("do not hold for a shard that could not be read", async () => {
    const folder = temporaryFolder();
    corpus(join(folder, "data"), { "a/0.jsonl": 3, "a/1.jsonl": 9 });
    writeFileSync(join(folder, "data/a/bad.jsonl"), '{"text":\n');
    const data = {
      files: join(folder, "data/{domain}/*"),
      heldOut: "none" as const,
      onBadShard: "skip" as const,
      maxSkipped: 1,
    };
    const first = await countOf(join(folder, "out"), { data });
    expect(first.count.skipped.map((shard) => shard.path)).toEqual(["bad.jsonl"]);
    writeShard(folder, "data/a/bad.jsonl", [{ text: "mended" }]);
    const second = await countOf(join(folder, "out"), { data });
    expect(second.counted).toMatchObject({ shards: 1, kept: 2 });
    expect(second.count.domains[0]!.documents).toBe(5);
  });
});

it("a unit that needs more than the memory is counted all the same, alone, and a note says so", async () => {
  const folder = temporaryFolder();
  corpus(join(folder, "data"), { "a/0.jsonl": 3, "b/0.jsonl": 30 });
  const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
  const little = await countOf(join(folder, "little"), { data, cache: false, memory: "1 MB" });
  expect(little.notes.join()).toMatch(
    /2 row groups need more memory than 1 MiB \(largest: row group 0 of \S+, some \d+ MiB\)/,
  );
  const plenty = await countOf(join(folder, "plenty"), { data, cache: false });
  expect(plenty.notes).toEqual([]);
  expect(result(little.folder)).toEqual(result(plenty.folder));
});

describe("domains by a map", () => {
  const rows = [
    { text: "a page", meta: { set: "Pile-CC" } },
    { text: "another page", meta: { set: "OpenWebText2" } },
    { text: "a poem", meta: { set: "poems" } },
    { text: "something else", meta: { set: "Enron Emails" } },
    { text: "nobody knows", meta: { set: null } },
  ];
  const settings = (folder: string, more: Partial<Settings["data"]> = {}): Settings => ({
    data: {
      files: join(folder, "data/*"),
      domainColumn: "meta.set",
      domainMap: { "Pile-CC": "web", OpenWebText2: "web", poems: "poetry" },
      heldOut: "none",
      ...more,
    },
  });

  it("are those that it names, and the policy takes the rest", async () => {
    const folder = temporaryFolder();
    writeShard(folder, "data/0.jsonl", rows);
    const documents = async (name: string, more: Partial<Settings["data"]>) => {
      const { count } = await countOf(join(folder, name), settings(folder, more));
      return Object.fromEntries(count.domains.map((domain) => [domain.name, domain.documents]));
    };
    await expect(documents("fail", {})).rejects.toMatchObject({
      code: "unlisted-domain",
      exitStatus: 65,
      message: expect.stringContaining("“Enron Emails”"),
    });
    expect(await documents("drop", { onUnlistedDomain: "drop" })).toEqual({ web: 2, poetry: 1 });
    expect(await documents("rest", { onUnlistedDomain: { domain: "other" } })).toEqual({ web: 2, poetry: 1, other: 2 });
    // Without a list or a map every name is a domain, and only what has none goes to the rest.
    expect(await documents("free", { domainMap: undefined, onUnlistedDomain: { domain: "other" } })).toEqual({
      "Enron Emails": 1,
      OpenWebText2: 1,
      "Pile-CC": 1,
      other: 1,
      poems: 1,
    });
  });

  it("apply to {domain} in a path as well", async () => {
    const folder = temporaryFolder();
    corpus(join(folder, "data"), { "cc-2019/0.jsonl": 1, "cc-2020/0.jsonl": 2, "books/0.jsonl": 3, "mail/0.jsonl": 4 });
    const { count } = await countOf(join(folder, "out"), {
      data: {
        files: join(folder, "data/{domain}/*"),
        domainMap: { "cc-2019": "web", "cc-2020": "web", books: "books" },
        onUnlistedDomain: { domain: "other" },
        heldOut: "none",
      },
    });
    expect(count.domains.map(({ name, documents }) => [name, documents])).toEqual([
      ["web", 4],
      ["books", 2],
      ["other", 2],
    ]);
  });

  it("are those of the manifest, which says the map, and of what verifies it", async () => {
    const folder = temporaryFolder();
    const words = (count: number) => "so many words ".repeat(count);
    writeShard(
      folder,
      "data/0.jsonl",
      Array.from({ length: 60 }, (_, i) => ({ ...rows[i % 5]!, text: words(1 + (i % 11)) })),
    );
    const pipeline = smallPipeline(join(folder, "out"), {
      ...settings(folder, { onUnlistedDomain: { domain: "other" } }),
      resample: { weights: { web: 0.5, poetry: 0.2, other: 0.3 }, budgetTokens: 500 },
    });
    const { paths, count } = await runPipeline(pipeline);
    expect(count!.domains.map((domain) => domain.name)).toEqual(["web", "poetry", "other"]);
    const manifest = JSON.parse(readFileSync(paths.manifest!, "utf8"));
    expect(manifest.domainRule).toEqual({
      map: { "Pile-CC": "web", OpenWebText2: "web", poems: "poetry" },
      listed: ["web", "poetry", "other"],
      unlisted: { domain: "other" },
    });
    expect(await verify(paths.manifest!)).toMatchObject({ ok: true, problems: [], omitted: 0 });
    const wrong = { ...manifest, domainRule: { ...manifest.domainRule, map: { poems: "poetry" } } };
    writeFileSync(paths.manifest!, JSON.stringify(wrong));
    expect(await verify(paths.manifest!)).toMatchObject({ ok: false });
  });

  it("must be among those listed", () => {
    const folder = temporaryFolder();
    expect(() => smallPipeline("out", settings(folder, { domains: ["web"] }))).toThrow(/domainMap.*“?poetry/);
  });
});

describe("a sampled count", () => {
  it("is no count: it has a form and a folder of its own, and a run after it counts", async () => {
    const folder = temporaryFolder();
    corpus(
      join(folder, "data"),
      Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`${"ab"[i % 2]}/${i}.jsonl`, 5 + ((i * 7) % 50)])),
    );
    const data = { files: join(folder, "data/{domain}/*"), heldOut: "none" as const };
    const pipeline = smallPipeline(join(folder, "out"), { data, tokenizer: "r50k", count: { tokenizers: ["cl100k"] } });
    const { estimate, count } = await runPipeline(pipeline, { sample: 0.4 });
    expect(count).toBeUndefined();
    expect(existsSync(join(folder, "out/count"))).toBe(false);
    expect(estimate!.sample.units).toEqual({ read: 48, of: 120 });
    const whole = await runPipeline(pipeline, { until: "count" });
    expect(whole.stages.map(({ stage, status }) => [stage, status])).toEqual([
      ["discover", "unchanged"],
      ["count", "done"],
    ]);
    for (const [i, domain] of whole.count!.domains.entries()) {
      const { name, tokens, share } = estimate!.domains[i]!;
      expect(name).toBe(domain.name);
      for (const tokenizer of ["r50k", "cl100k"]) {
        // Sizes tell nearly all: a few percent is what is left to chance.
        expect(tokens[tokenizer]!.estimate / domain.tokens[tokenizer]!).toBeCloseTo(1, 1);
        expect(tokens[tokenizer]!.low).toBeLessThan(tokens[tokenizer]!.high);
        expect(share[tokenizer]!.estimate).toBeCloseTo(domain.share[tokenizer]!, 2);
      }
    }
    // Of all of it, the estimate is the count.
    const all = await runPipeline(pipeline, { sample: 1 });
    for (const [i, domain] of whole.count!.domains.entries())
      expect(all.estimate!.domains[i]!.tokens.cl100k!.estimate).toBeCloseTo(domain.tokens.cl100k!, 6);
  });
});
