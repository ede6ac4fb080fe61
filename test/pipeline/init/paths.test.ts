/** What paths alone say of domains, and that the patterns made of them find the same files and domains again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extensionOf } from "../../../src/pipeline/init/listing.ts";
import { allFiles, domainsOfNames, domainsOfPaths, isHeldOut } from "../../../src/pipeline/init/paths.ts";
import { domainMatcher } from "../../../src/storage/pattern.ts";

describe("folders", () => {
  it.each([
    ["a folder for each", ["books/a.parquet", "web/b.parquet"], "{domain}/*.parquet", ["books", "web"]],
    ["nested", ["books/1/a.parquet", "web/2/3/b.parquet"], "{domain}/**/*.parquet", ["books", "web"]],
    [
      "below a folder that all share",
      ["data/books/a.jsonl", "data/web/b.jsonl"],
      "data/{domain}/*.jsonl",
      ["books", "web"],
    ],
    ["numbers before the domain", ["00/books/a.jsonl", "01/web/b.jsonl"], "*/{domain}/*.jsonl", ["books", "web"]],
    ["several formats", ["b/a.arrow", "w/b.jsonl.gz"], "{domain}/*{.arrow,.jsonl.gz}", ["b", "w"]],
    ["hive", ["domain=a%2Fb/x.parquet", "domain=c/x.parquet"], "domain={domain}/*.parquet", ["a/b", "c"]],
    [
      "hive, a key that names domains before one that does not",
      ["date=1/lang=de/x.parquet", "date=2/lang=en/x.parquet"],
      "*/lang={domain}/*.parquet",
      ["de", "en"],
    ],
    [
      "Hugging Face configurations",
      ["en/train-00000-of-00001.parquet", "de/train-00000-of-00001.parquet"],
      "{domain}/*.parquet",
      ["de", "en"],
    ],
  ])("%s", (_, paths, pattern, domains) => {
    expect(domainsOfPaths(paths)).toMatchObject({ patterns: [pattern], domains, heldOut: [] });
  });

  it.each([
    ["splits", ["train/a.parquet", "test/b.parquet"]],
    ["numbers", ["000/a.parquet", "001/b.parquet"]],
    ["one folder", ["books/a.parquet", "books/b.parquet"]],
    ["no folders", ["a.parquet", "b.parquet"]],
  ])("that name no domains: %s", (_, paths) => {
    expect(domainsOfPaths(paths)).toBeNull();
  });

  it("a file above them is left out where it is one of many, and says that they are none where it is not", () => {
    const many = ["a/1.parquet", "a/2.parquet", "b/1.parquet"];
    expect(domainsOfPaths([...many, "index.parquet"])).toMatchObject({ paths: many, domains: ["a", "b"] });
    expect(domainsOfPaths(["a/1.parquet", "b/1.parquet", "x.parquet", "y.parquet"])).toBeNull();
  });

  it("a path that has a null for the domain is told of", () => {
    const paths = ["domain=a/x.parquet", "domain=b/x.parquet", "domain=__HIVE_DEFAULT_PARTITION__/x.parquet"];
    expect(domainsOfPaths(paths)).toMatchObject({ domains: ["a", "b"], hasUnnamed: true });
  });
});

describe("held out by name", () => {
  it.each([
    [
      "a file of each domain",
      ["a/part.parquet", "b/part.parquet", "a/valid.parquet", "b/valid.parquet"],
      ["{domain}/valid*.parquet"],
    ],
    [
      "a folder in each domain",
      ["a/train/1.jsonl", "b/train/1.jsonl", "a/test/1.jsonl", "b/test/1.jsonl"],
      ["{domain}/test/**/*.jsonl"],
    ],
    [
      "a folder beside the domains'",
      ["train/a/1.jsonl", "train/b/1.jsonl", "val/a/1.jsonl", "val/b/1.jsonl"],
      ["val/{domain}/**/*.jsonl"],
    ],
  ])("%s", (_, paths, heldOut) => {
    const found = domainsOfPaths(paths)!;
    expect(found).toMatchObject({ domains: ["a", "b"], heldOut });
    const matches = heldOut.map(domainMatcher);
    for (const path of paths)
      expect(matches.map((match) => match(path)).find((name) => name !== undefined)).toBe(
        isHeldOut(path) ? found.domainOf(path) : undefined,
      );
  });

  it("where a column says the domain", () => {
    expect(allFiles(["data/train-0.parquet", "data/validation-0.parquet"])).toEqual({
      patterns: ["**/*.parquet"],
      heldOut: ["**/validation*.parquet"],
    });
  });
});

describe("names of files", () => {
  it.each([
    ["one file each", ["arxiv.jsonl", "c4.jsonl"], "{domain}.jsonl", ["arxiv", "c4"]],
    [
      "numbered",
      ["arxiv-00000-of-00002.parquet", "arxiv-00001-of-00002.parquet", "web-00000-of-00001.parquet"],
      "{domain}-*.parquet",
      ["arxiv", "web"],
    ],
    ["in folders", ["00/arxiv_1.jsonl", "01/web_1.jsonl"], "**/{domain}_*.jsonl", ["arxiv", "web"]],
  ])("%s", (_, paths, pattern, domains) => {
    expect(domainsOfNames(paths)).toMatchObject({ patterns: [pattern], domains });
  });

  it.each([
    ["words for shards", ["part-0.parquet", "data-0.parquet"]],
    ["numbers", ["0000.jsonl", "0001.jsonl"]],
    ["a domain with the separator in it", ["stack-exchange-0.jsonl", "web-0.jsonl"]],
    ["splits", ["books.parquet", "test-books.parquet"]],
  ])("that name no domains: %s", (_, paths) => {
    expect(domainsOfNames(paths)).toBeNull();
  });
});

it("extensions go from the format to the compression", () => {
  const of = ["a.jsonl.zst", "b.parquet", "v1.2/part-00000", "c.tar.gz", "x.train.jsonl"].map(extensionOf);
  expect(of).toEqual([".jsonl.zst", ".parquet", "", ".tar.gz", ".jsonl"]);
});

it("the pattern names each file's domain as the guess does, whatever folders are called", () => {
  const folder = fc.stringMatching(/^[a-z*?[\]{}]{1,6}x$/);
  const names = fc.uniqueArray(folder, { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(folder, names, (top, domains) => {
      const paths = domains.flatMap((name) => [`${top}/${name}/part-0.parquet`, `${top}/${name}/deep/part-1.parquet`]);
      const found = domainsOfPaths(paths)!;
      const [pattern] = found.patterns;
      for (const path of paths) expect(domainMatcher(pattern!)(path)).toBe(found.domainOf(path));
    }),
    { seed: 1, numRuns: 200 },
  );
});
