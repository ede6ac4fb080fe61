/**
 * A short fuzz run of every target, in this process, and what long runs have found; `npm run test:fuzz` is the long one.
 */
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Draws } from "./mutate.ts";
import { pollution, targets } from "./targets.ts";

const INPUTS = 40;
const SEED = 7;

it.each(targets.map((target) => [target.name, target] as const))("%s", async (name, target) => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-fuzz-"));
  try {
    const seeds = await target.seeds(folder);
    expect(seeds.length).toBeGreaterThan(0);
    for (const seed of seeds) await target.run(seed, folder);
    for (let at = 0; at < INPUTS; at++) {
      const draws = new Draws(SEED, `${name}/${at}`);
      const input = target.mutate(draws, draws.of(seeds), seeds);
      await target.run(input, folder).catch((error: unknown) => {
        throw new Error(`seed ${SEED}, input ${at}`, { cause: error });
      });
    }
    expect(pollution()).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Inputs that were faults once, by target. */
const FOUND = "test/files/fuzz";
const found = readdirSync(FOUND).flatMap((name) => readdirSync(join(FOUND, name)).map((file) => [name, file] as const));

it.each(found)("%s: %s, found by a long run", async (name, file) => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-fuzz-"));
  try {
    const target = targets.find((other) => other.name === name)!;
    await target.seeds(folder);
    await target.run(await readFile(join(FOUND, name, file)), folder);
    await new Promise(setImmediate); // a promise that nobody waits for fails the test run
    expect(pollution()).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
