import { describe, expect, it } from "vitest";
import { normaliseWeights, parseWeightsFile } from "../../src/mixture/weights.ts";
import { readGolden } from "./golden.ts";

const { vectors } = readGolden<{ vectors: { id: string; weights: Record<string, number>; sum: number }[] }>(
  "weights.json",
);

describe("published weights", () => {
  it.each(vectors)("$id adds up to $sum and is accepted", ({ id, weights, sum }) => {
    const domains = Object.keys(weights).sort();
    const got = parseWeightsFile(JSON.stringify(weights), domains, id);
    expect(Math.abs(got.weights.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
    for (const [i, domain] of domains.entries()) expect(got.weights[i]).toBeCloseTo(weights[domain]! / sum, 12);
    if (Math.abs(sum - 1) > 1e-8) expect(got.notes[0]).toMatch(/normalised to 1/);
    else expect(got.notes).toEqual([]);
  });

  it("reads DoReMi's own configuration files", () => {
    const json = JSON.stringify({
      train_domain_weights: { a: 0.25, b: 0.75 },
      eval_domain_weights: { a: 0.5, b: 0.5 },
    });
    expect(parseWeightsFile(json, ["b", "a"], "x.json").weights).toEqual([0.75, 0.25]);
  });
});

describe("wrong weights", () => {
  const pile = vectors[0]!.weights;
  const domains = Object.keys(pile);
  const read = (table: unknown) => () => parseWeightsFile(JSON.stringify(table), domains, "w.json");

  it("names the nearest domain for a misspelt one", () => {
    const { "Pile-CC": weight, ...rest } = pile;
    expect(read({ ...rest, "Pile-Cc ": weight })).toThrow(/“Pile-Cc ”.*did you mean “Pile-CC”/s);
  });
  it("names a missing domain", () => {
    const { Github: _, ...rest } = pile;
    expect(read(rest)).toThrow(/found none for “Github”/);
  });
  it("does not take an inherited property for a domain", () => {
    expect(() => parseWeightsFile('{"a":1}', ["a", "constructor"], "w.json")).toThrow(/found none for “constructor”/);
  });
  it.each([
    ["a string", { ...pile, Github: "0.1" }, /“Github”: must be a number/],
    ["a negative number", { ...pile, Github: -0.1 }, /“Github”.*-0.1/],
    ["an array", [0.1, 0.9], /must be an object/],
    ["all zero", Object.fromEntries(domains.map((domain) => [domain, 0])), /all weights are zero/],
  ])("refuses %s", (_, table, message) => {
    expect(read(table)).toThrow(message);
  });
  it("refuses text that is not JSON, naming the file", () => {
    expect(() => parseWeightsFile("{", domains, "w.json")).toThrow(/^w.json: must be JSON/);
  });
  it("says more when the sum is far from 1", () => {
    expect(normaliseWeights([2, 2], ["a", "b"]).notes[0]).toMatch(/proportions/);
  });
});
