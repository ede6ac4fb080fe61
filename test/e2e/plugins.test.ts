/** Plug-ins as a user writes them: the examples in the repository, and the program inside a stream of one's own. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pipeline as streamPipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  type CountedBatch,
  countTokens,
  type EncodedBatch,
  encodeTokens,
  planPipeline,
  readCorpus,
  readManifest,
  runPipeline,
  verify,
} from "../../src/index.ts";
import { sha256File } from "../../src/lib/hash.ts";
import { loadTransform } from "../../src/stages/transform.ts";
import { CORPUS, smallPipeline, TOKENIZER, temporaryFolder } from "./small.ts";

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const expected = JSON.parse(readFileSync(join(CORPUS, "folders.counts.json"), "utf8"));
const folders = join(CORPUS, "folders/{domain}/part-*");

describe("a transform", () => {
  it("filters and cleans in the workers; the manifest, verify and the reader go through it too", async () => {
    const output = join(temporaryFolder(), "out");
    const transform = { module: example("drop-short.mjs"), options: { minCharacters: 1500 } };
    const pipeline = smallPipeline(output, {
      data: { files: folders, transform },
      resample: { weights: "natural", budgetTokens: 30_000 },
    });
    const result = await runPipeline(pipeline);
    const documents = result.count!.domains.reduce((sum, domain) => sum + domain.documents, 0);
    const all = Object.values(expected.domains).reduce(
      (sum: number, domain) => sum + (domain as { documents: number }).documents,
      0,
    );
    expect(documents).toBeGreaterThan(0);
    expect(documents).toBeLessThan(all);
    expect(result.count!.notes.join()).toContain(`${all - documents} rows are not documents`);

    const { manifest } = result.paths;
    await expect(verify(manifest!)).rejects.toMatchObject({ code: "transform-not-allowed", exitStatus: 2 });
    expect(await verify(manifest!, { allowTransform: true })).toMatchObject({ ok: true });
    for await (const document of readManifest(manifest!, { allowTransform: true })) {
      const text = new TextDecoder().decode(document.text);
      expect(text.length).toBeGreaterThanOrEqual(1500);
      expect(text).toBe(text.trimEnd());
    }
  });

  it("relabels by a column of the shard", async () => {
    const module = join(temporaryFolder(), "relabel.mjs");
    writeFileSync(
      module,
      `export default (batch, { arrow }) => {
        const rows = [...Array(batch.numRows).keys()];
        return new arrow.Table({
          row: arrow.vectorFromArray(rows.map((i) => batch.getChild("row").get(i)), new arrow.Uint32()),
          text: arrow.vectorFromArray(rows.map((i) => batch.getChild("text").get(i)), new arrow.Utf8()),
          domain: arrow.vectorFromArray(rows.map((i) => batch.getChild("id").get(i).split("/")[0] === "math" ? "numbers" : "words"), new arrow.Utf8()),
        });
      };`,
    );
    const output = join(temporaryFolder(), "out");
    const data = {
      files: folders,
      transform: { module, columns: ["id"] },
      domains: ["words", "numbers"],
      onUnlistedDomain: "fail" as const,
    };
    const { count } = await runPipeline(smallPipeline(output, { data: { ...data, domainColumn: "id" } }), {
      until: "count",
    });
    expect(count!.domains.map(({ name, documents }) => [name, documents])).toEqual([
      ["words", expected.domains.csource.documents + expected.domains.factbook.documents],
      ["numbers", expected.domains.math.documents],
    ]);
  });

  it.each([
    ["throws", "export default () => { throw new Error('no such thing'); }", "transform-failed", /no such thing/],
    [
      "repeats a row",
      "export default (batch, { arrow }) => new arrow.Table({ row: arrow.vectorFromArray([0, 0], new arrow.Uint32()), text: arrow.vectorFromArray(['a', 'a'], new arrow.Utf8()), domain: arrow.vectorFromArray(['math', 'math'], new arrow.Utf8()) })",
      "transform-repeats",
      /row 0 twice/,
    ],
    ["loses a column", "export default (batch) => batch.select(['row', 'text'])", "transform-result", /no “domain”/],
    ["exports no function", "export default 3", "bad-plugin", /must be a function/],
  ])("that %s is a clear error", async (_what, code, errorCode, message) => {
    const module = join(temporaryFolder(), "bad.mjs");
    writeFileSync(module, code);
    const pipeline = smallPipeline(join(temporaryFolder(), "out"), { data: { files: folders, transform: module } });
    await expect(runPipeline(pipeline, { until: "count" })).rejects.toMatchObject({
      code: errorCode,
      exitStatus: 78,
      message: expect.stringMatching(message),
    });
  });
});

describe("a stage of the user's own", () => {
  it("runs where it is told to, once, and again when its module or options change", async () => {
    const output = join(temporaryFolder(), "out");
    const stages = (options: Record<string, unknown>) => ({
      stages: [{ module: example("domain-report.mjs"), after: "count" as const, options }],
      resample: { weights: "natural" as const },
    });
    const run = (options: Record<string, unknown>) => runPipeline(smallPipeline(output, stages(options)));
    const first = await run({});
    expect(first.stages.map(({ stage }) => stage)).toEqual(["discover", "count", "domain-report", "resample"]);
    const csv = readFileSync(join(output, "domain-report", "domains.csv"), "utf8")
      .trim()
      .split("\n");
    expect(csv[1]!.split(",").slice(0, 3)).toEqual([
      '"csource"',
      String(expected.domains.csource.documents),
      String(expected.domains.csource.tokens["tokenizer-4096"]),
    ]);
    expect((await run({})).status).toBe("unchanged");
    const changed = await run({ tokenizer: "r50k" });
    expect(Object.fromEntries(changed.stages.map(({ stage, status }) => [stage, status]))).toMatchObject({
      count: "unchanged",
      "domain-report": "done",
      resample: "unchanged",
    });
  });
});

describe("a plug-in that is edited while the process lives", () => {
  it("gives the transform as it is now", async () => {
    const module = join(temporaryFolder(), "filter.mjs");
    const loaded = async (word: string) => {
      writeFileSync(module, `export default () => "${word}";`);
      const transform = (await loadTransform({ module, sha256: await sha256File(module) })) as () => unknown;
      return transform();
    };
    expect(await loaded("one")).toBe("one");
    expect(await loaded("two")).toBe("two");
    expect(await loaded("one")).toBe("one");
  });

  it("runs the stage as it is now", async () => {
    const module = join(temporaryFolder(), "stage.mjs");
    const output = join(temporaryFolder(), "out");
    const said = async (word: string) => {
      writeFileSync(
        module,
        `export default { name: "say", version: 1, input: { parse: (x) => x }, output: { safeParse: (data) => ({ success: true, data }) }, run: async () => "${word}" };`,
      );
      const pipeline = smallPipeline(output, { stages: [{ module, after: "discover" }] });
      await runPipeline(pipeline, { until: "discover" });
      return JSON.parse(readFileSync(join(output, "say", "done.json"), "utf8")).output;
    };
    expect(await said("one")).toBe("one");
    expect(await said("two")).toBe("two");
    expect(await said("one")).toBe("one");
  });
});

describe("a stage after training", () => {
  it.each(["tokenize", "reference", "proxy"] as const)("is refused after %s when weights are given", async (after) => {
    const output = join(temporaryFolder(), "out");
    const stages = [{ module: example("domain-report.mjs"), after }];
    const pipeline = smallPipeline(output, { stages, resample: { weights: "natural" } });
    const refused = {
      code: "stage-after-training",
      exitStatus: 78,
      message: expect.stringMatching(
        new RegExp(`“domain-report”: is to run after ${after}.*set its after to.*resample.weights: learned`),
      ),
    };
    await expect(runPipeline(pipeline)).rejects.toMatchObject(refused);
    await expect(planPipeline(pipeline)).rejects.toMatchObject(refused);
    expect(existsSync(output)).toBe(false);
  });
});

describe("the library as part of a stream", () => {
  it("counts inside stream.pipeline, and a slow sink holds the reader back", async () => {
    const tokens: Record<string, number> = {};
    let open = 0;
    let most = 0;
    const watch = async function* (source: AsyncIterable<CountedBatch>) {
      for await (const batch of source) {
        open++;
        most = Math.max(most, open);
        yield batch;
      }
    };
    const sink = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write(batch: CountedBatch, _encoding, done) {
        for (const [i, domain] of batch.domain.entries())
          tokens[domain!] = (tokens[domain!] ?? 0) + batch.tokens.r50k![i]!;
        setTimeout(() => {
          open--;
          done();
        }, 5);
      },
    });
    await streamPipeline(readCorpus(folders), countTokens("r50k", TOKENIZER), watch, sink);
    expect(tokens).toEqual(
      Object.fromEntries(
        Object.entries(expected.domains).map(([name, domain]) => [
          name,
          (domain as { tokens: { r50k: number } }).tokens.r50k,
        ]),
      ),
    );
    // One being written, one in the sink's buffer, one on its way.
    expect(most).toBeLessThanOrEqual(3);
  });

  it("encodes to as many ids as it counts", async () => {
    let documents = 0;
    const source = encodeTokens(TOKENIZER)(countTokens(TOKENIZER)(readCorpus(folders)));
    for await (const batch of source as AsyncIterable<EncodedBatch & CountedBatch>) {
      documents += batch.ids.length;
      expect(batch.ids.map((ids) => ids.length)).toEqual([...batch.tokens["tokenizer-4096"]!]);
    }
    expect(documents).toBe(
      Object.values(expected.domains).reduce(
        (sum: number, domain) => sum + (domain as { documents: number }).documents,
        0,
      ),
    );
  });

  it("has the examples that the documentation names", () => {
    for (const name of ["drop-short.mjs", "domain-report.mjs"]) expect(existsSync(example(name))).toBe(true);
  });
});
