import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { DoremiError } from "../../src/lib/errors.ts";
import type { FolderLock } from "../../src/pipeline/folder-lock.ts";
import { OutputFolder } from "../../src/pipeline/output-folder.ts";
import { type BoundStage, runStages } from "../../src/pipeline/runner.ts";
import { WorkerPool } from "../../src/stages/pool.ts";
import type { StageContext, StageEvent } from "../../src/stages/stage.ts";

let folder: string;
let runs: string[];
let events: StageEvent[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-runner-"));
  runs = [];
  events = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A chain of stages, each of which writes its setting and the sum of all settings so far. */
function chain(settings: Record<string, number>, fail?: string): BoundStage[] {
  const names = Object.keys(settings);
  return names.map((name, i) => ({
    stage: {
      name,
      version: 1,
      input: z.strictObject({ setting: z.number(), before: z.number() }),
      output: z.strictObject({ sum: z.number() }),
      async run(input: { setting: number; before: number }, context) {
        runs.push(name);
        await writeFile(join(context.folder, "part.txt"), String(input.setting));
        if (fail === name) throw new DoremiError("interrupted", "interrupted", "stopped");
        return { sum: input.setting + input.before };
      },
    },
    input: (outputs) => ({
      setting: settings[name],
      before: i === 0 ? 0 : (outputs[names[i - 1]!] as { sum: number }).sum,
    }),
  }));
}

async function run(stages: BoundStage[]) {
  return runStages(stages, {
    folder: new OutputFolder(folder),
    pool: new WorkerPool({ workers: 1 }),
    seed: 1,
    training: {
      engine: "cpu",
      threads: 1,
      checkpointEvery: 10,
      keepCheckpoints: 2,
      microBatch: null,
      recompute: false,
      referenceLosses: "auto",
    },
    signal: new AbortController().signal,
    emit: (event) => events.push(event),
  });
}

/** A stage that announces its sum, and one after it that reads along; each does what it is told to in the meantime. */
function streaming(
  write: (context: StageContext) => Promise<number>,
  read: (context: StageContext) => Promise<void>,
): BoundStage[] {
  const sum = z.strictObject({ sum: z.number() });
  return [
    {
      stage: {
        name: "writer",
        version: 1,
        input: z.strictObject({}),
        output: sum,
        async run(_, context) {
          runs.push("writer");
          context.announce!({ sum: 7 });
          return { sum: await write(context) };
        },
      },
      input: () => ({}),
    },
    {
      stage: {
        name: "reader",
        version: 1,
        streams: true,
        input: sum,
        output: sum,
        async run(input: { sum: number }, context) {
          runs.push("reader");
          await read(context);
          return input;
        },
      },
      input: (outputs) => outputs.writer,
    },
  ];
}

/** Resolves when the stage is told to stop. */
const stopped = (context: StageContext) =>
  new Promise<never>((_, reject) => {
    const stop = () => reject(new DoremiError("interrupted", "interrupted", "stopped"));
    // On a busy machine the other has failed before this one begins.
    if (context.signal.aborted) stop();
    else context.signal.addEventListener("abort", stop);
  });

describe("a stage that reads what the one before it is writing", () => {
  it("runs beside it, sees its folder, and is in place only after it", async () => {
    let seen = () => {};
    const read = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const stages = () =>
      streaming(
        async (context) => {
          await writeFile(join(context.folder, "part.txt"), "growing");
          await read; // does not end before the other has read
          await new Promise((resolve) => setTimeout(resolve, 50));
          return 7;
        },
        async (context) => {
          const file = join(context.unfinishedFolderOf!("writer")!, "part.txt");
          expect(await readFile(file, "utf8")).toBe("growing");
          seen();
        },
      );
    const { reports, outputs } = await run(stages());
    expect(reports.map(({ stage, status }) => `${stage} ${status}`)).toEqual(["writer done", "reader done"]);
    expect(outputs.reader).toEqual({ sum: 7 });
    const done = events.filter((event) => event.type === "done").map((event) => event.stage);
    expect(done).toEqual(["writer", "reader"]);
    const again = await run(stages());
    expect(again.reports.map((report) => report.status)).toEqual(["unchanged", "unchanged"]);
  });

  it("is stopped where the one before it fails, and stops it where it fails itself; both go on later", async () => {
    const broken = new DoremiError("bad-data", "corrupt", "a bad shard");
    const fail = async (): Promise<never> => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw broken;
    };
    await expect(run(streaming(fail, stopped))).rejects.toBe(broken);
    await expect(run(streaming(stopped, fail))).rejects.toBe(broken);
    expect(await readdir(folder)).toEqual([".doremi"]);
    expect((await readdir(join(folder, ".doremi", "work"))).sort()).toEqual([
      expect.stringMatching(/^reader-/),
      expect.stringMatching(/^writer-/),
    ]);
    const { reports } = await run(
      streaming(
        async () => 7,
        async () => {},
      ),
    );
    expect(reports.map((report) => report.status)).toEqual(["done", "done"]);
  });

  it("starts after it where that one had nothing to do", async () => {
    const stages = streaming(
      async () => 7,
      async (context) => expect(context.unfinishedFolderOf!("writer")).toBeUndefined(),
    );
    await run(stages.slice(0, 1));
    const { reports } = await run(stages);
    expect(reports.map((report) => report.status)).toEqual(["unchanged", "done"]);
  });

  it("has begun in vain where another output is returned than was announced", async () => {
    await expect(
      run(
        streaming(
          async () => 8,
          async () => {},
        ),
      ),
    ).rejects.toMatchObject({ code: "stage-contract" });
  });
});

describe("a stage that stands several times in a run", () => {
  /** Writer and reader in pairs, whose folders and outputs are told apart by their names. */
  const pair = (suffix: string, sum: number, skip?: BoundStage["skip"]): BoundStage[] => {
    const [writer, reader] = streaming(
      async (context) => {
        await writeFile(join(context.folder, "part.txt"), String(sum));
        return 7;
      },
      async (context) => {
        const folder = context.unfinishedFolderOf!("writer") ?? context.folderOf("writer");
        expect(await readFile(join(folder, "part.txt"), "utf8")).toBe(String(sum));
      },
    );
    const name = `writer${suffix}`;
    const when = skip ? { skip } : {};
    return [
      { ...writer!, name, ...when },
      {
        ...reader!,
        name: `reader${suffix}`,
        others: { writer: name },
        input: (outputs) => outputs[name],
        ...when,
      },
    ];
  };

  it("has a folder, an output and events of its own each time, and reads from the others that are its own", async () => {
    const { reports, outputs } = await run([...pair("", 1), ...pair("-2", 2)]);
    expect(reports.map(({ stage, status }) => `${stage} ${status}`)).toEqual([
      "writer done",
      "reader done",
      "writer-2 done",
      "reader-2 done",
    ]);
    expect(Object.keys(outputs)).toEqual(["writer", "reader", "writer-2", "reader-2"]);
    expect(await readFile(join(folder, "writer-2", "part.txt"), "utf8")).toBe("2");
    expect(new Set(events.map((event) => event.stage))).toEqual(new Set(Object.keys(outputs)));
    runs = [];
    const more = await run([...pair("", 1), ...pair("-2", 2), ...pair("-3", 3)]);
    expect(runs).toEqual(["writer", "reader"]); // the third's
    expect(more.reports.filter(({ status }) => status === "done").map(({ stage }) => stage)).toEqual([
      "writer-3",
      "reader-3",
    ]);
  });

  it("is left out where what is known by then says so, and streams all the same where it is not", async () => {
    const known: string[][] = [];
    const skip = (answer: boolean) => (outputs: Readonly<Record<string, unknown>>) => {
      known.push(Object.keys(outputs));
      return answer;
    };
    const { outputs } = await run([...pair("", 1), ...pair("-2", 2, skip(true)), ...pair("-3", 3, skip(false))]);
    expect(Object.keys(outputs)).toEqual(["writer", "reader", "writer-3", "reader-3"]);
    expect(await readdir(folder)).not.toContain("writer-2");
    // Both of a pair are asked before either runs.
    expect(known.every((names) => names.join() === "writer,reader")).toBe(true);
    const started = events.filter(({ type }) => type === "start" || type === "done").map((event) => event.stage);
    expect(started.slice(-4)).toEqual(["writer-3", "reader-3", "writer-3", "reader-3"]);
  });
});

describe("the runner", () => {
  it("runs every stage once and then nothing", async () => {
    const first = await run(chain({ a: 1, b: 2, c: 3 }));
    expect(first.outputs.c).toEqual({ sum: 6 });
    expect(runs).toEqual(["a", "b", "c"]);
    const again = await run(chain({ a: 1, b: 2, c: 3 }));
    expect(runs).toEqual(["a", "b", "c"]);
    expect(again.reports.map((report) => report.status)).toEqual(["unchanged", "unchanged", "unchanged"]);
    expect(again.outputs).toEqual(first.outputs);
  });

  it("redoes only what depends on a changed setting", async () => {
    await run(chain({ a: 1, b: 2, c: 3 }));
    runs = [];
    await run(chain({ a: 1, b: 5, c: 3 }));
    expect(runs).toEqual(["b", "c"]);
    expect(await readFile(join(folder, "b", "part.txt"), "utf8")).toBe("5");
  });

  it("does not redo what follows when a redone stage gives the same output", async () => {
    await run(chain({ a: 1, b: 2, c: 3 }));
    runs = [];
    // 1 + 2 = 2 + 1: c sees the same sum
    await run(chain({ a: 2, b: 1, c: 3 }));
    expect(runs).toEqual(["a", "b"]);
  });

  it("publishes nothing of a stage that fails, keeps the work for the next run, and leaves no temporary behind", async () => {
    await expect(run(chain({ a: 1, b: 2 }, "b"))).rejects.toThrow("stopped");
    expect((await readdir(folder)).sort()).toEqual([".doremi", "a"]);
    await run(chain({ a: 1, b: 2 }));
    expect(runs).toEqual(["a", "b", "b"]);
    expect(await readdir(join(folder, ".doremi", "work"))).toEqual([]);
  });

  it("redoes a stage whose file was lost or cut", async () => {
    await run(chain({ a: 1, b: 2 }));
    await writeFile(join(folder, "a", "part.txt"), "");
    runs = [];
    await run(chain({ a: 1, b: 2 }));
    expect(runs).toEqual(["a"]);
  });

  it("redoes a stage of which a file of the same size has other bytes, before another reads it, and names the file", async () => {
    await run(chain({ a: 1, b: 2, c: 3 }));
    await writeFile(join(folder, "a", "part.txt"), "7");
    runs = [];
    await run(chain({ a: 1, b: 2, c: 3 })); // nothing reads it
    expect(runs).toEqual([]);
    const { reports, outputs } = await run(chain({ a: 1, b: 2, c: 4 }));
    expect(runs).toEqual(["a", "c"]);
    expect(reports.map(({ stage, status }) => [stage, status])).toEqual([
      ["a", "done"],
      ["b", "unchanged"],
      ["c", "done"],
    ]);
    expect(outputs).toEqual((await run(chain({ a: 1, b: 2, c: 4 }))).outputs);
    expect(await readFile(join(folder, "a", "part.txt"), "utf8")).toBe("1");
    const notes = events.flatMap((event) => (event.type === "note" ? [event.message] : []));
    expect(notes).toEqual([expect.stringMatching(/\/a\/part\.txt: is not what a wrote/)]);
  });

  it("does not believe a mark that was changed", async () => {
    await run(chain({ a: 1, b: 2 }));
    const path = join(folder, "a", "done.json");
    const mark = await readFile(path, "utf8");
    await writeFile(path, mark.replace('"sum":1', '"sum":9'));
    expect(await readFile(path, "utf8")).not.toBe(mark);
    runs = [];
    await run(chain({ a: 1, b: 2 }));
    expect(runs).toEqual(["a"]);
    expect(await readFile(path, "utf8")).toBe(mark);
  });

  it("puts a stage into place that was finished when its run died", async () => {
    await run(chain({ a: 1 }));
    const output = new OutputFolder(folder);
    const { key } = (await output.done("a"))!;
    const { rename } = await import("node:fs/promises");
    await rename(join(folder, "a"), join(folder, ".doremi", "work", `a-${key.slice(0, 16)}`));
    runs = [];
    await run(chain({ a: 1 }));
    expect(runs).toEqual([]);
    expect(await readFile(join(folder, "a", "part.txt"), "utf8")).toBe("1");
  });

  it("gives a stage what this version of it made before, and not what another did", async () => {
    const given: unknown[] = [];
    const stage = (version: number, setting: number): BoundStage[] =>
      chain({ a: setting }).map((bound) => ({
        ...bound,
        stage: {
          ...bound.stage,
          version,
          run(input: { setting: number; before: number }, context: StageContext) {
            given.push(context.previous?.output);
            return bound.stage.run(input, context);
          },
        },
      }));
    await run(stage(1, 1));
    await run(stage(1, 2));
    await run(stage(2, 3));
    await run(stage(2, 4));
    expect(given).toEqual([undefined, { sum: 1 }, undefined, { sum: 3 }]);
  });

  it("reports an output that breaks the contract as our fault", async () => {
    const [stage] = chain({ a: 1 });
    const broken: BoundStage = { ...stage!, stage: { ...stage!.stage, run: async () => ({ sum: "six" }) } };
    await expect(run([broken])).rejects.toMatchObject({ code: "stage-contract", kind: "internal" });
  });
});

describe("the output folder", () => {
  const open = async (name: string) => (await new OutputFolder(folder).open(name)).release();

  it("is refused when another pipeline made it, and left as it was", async () => {
    await open("first");
    await open("first");
    const before = await readdir(join(folder, ".doremi"));
    await expect(open("second")).rejects.toMatchObject({ code: "other-pipeline", exitStatus: 78 });
    expect(await readdir(join(folder, ".doremi"))).toEqual(before);
  });

  it("is refused when it holds somebody's files, and left as it was", async () => {
    await writeFile(join(folder, "thesis.tex"), "x");
    await expect(open("a")).rejects.toMatchObject({ code: "foreign-folder" });
    expect(await readdir(folder)).toEqual(["thesis.tex"]);
  });

  it("is one run's at a time, and says so by its own name", async () => {
    const lock = await new OutputFolder(folder).open("a");
    await expect(open("a")).rejects.toMatchObject({ code: "locked", file: folder, exitStatus: 78 });
    await lock.release();
    await open("a");
  });

  it("becomes that of one pipeline, when two that differ start in it together", async () => {
    for (let round = 0; round < 20; round++) {
      await rm(folder, { recursive: true });
      const names = ["a", "b", "c"];
      const opened = await Promise.allSettled(names.map((name) => new OutputFolder(folder).open(name)));
      const held = opened.flatMap((result, i) => (result.status === "fulfilled" ? [[names[i], result.value]] : []));
      expect(held).toHaveLength(1);
      const [name, lock] = held[0] as [string, FolderLock];
      expect(JSON.parse(await readFile(join(folder, ".doremi", "run.json"), "utf8"))).toMatchObject({ pipeline: name });
      await lock.release();
      for (const other of names) {
        if (other !== name) await expect(open(other)).rejects.toMatchObject({ code: "other-pipeline" });
      }
    }
  });
});
