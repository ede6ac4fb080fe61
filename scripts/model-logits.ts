/**
 * Writes what a model computes here for random tokens, as safetensors: `inputs` [B, T] and `logits` [B, T, V]. For
 * check-transformers.py, which compares it with transformers.
 *
 *     tsx scripts/model-logits.ts MODEL_FOLDER OUT.safetensors
 */
import { createCpuEngine } from "../src/engine/cpu.ts";
import type { EngineTensor, Program } from "../src/engine/engine.ts";
import { writeSafetensors } from "../src/formats/safetensors.ts";
import { Rng } from "../src/lib/rng.ts";
import { logits, parameterShapes } from "../src/trainer/model.ts";
import { loadModel } from "../src/trainer/model-folder.ts";

const SEQUENCES = 2; // B
const LONGEST = 256; // T, at most

const [folder, out] = process.argv.slice(2);
if (folder === undefined || out === undefined) {
  console.error("usage: tsx scripts/model-logits.ts MODEL_FOLDER OUT.safetensors");
  process.exit(2);
}
const { config: stored, parameters } = await loadModel(folder);
const T = Math.min(stored.sequenceLength, LONGEST);
const config = { ...stored, sequenceLength: T };
const shapes = parameterShapes(config);
const rng = new Rng(1, "model-logits");
const inputs = Int32Array.from({ length: SEQUENCES * T }, (_, i) => Math.floor(config.vocabularySize * rng.uniform(i)));

const engine = await createCpuEngine({});
const program: Program = {
  name: "logits",
  inputs: {
    ids: { shape: [SEQUENCES, T], dtype: "int32" },
    ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "float32" as const }])),
  },
  build: (tf, given) => ({ logits: logits(tf, config, given, given.ids!) }),
};
const executable = await engine.compile(program);
const tensors: Record<string, EngineTensor> = { ids: engine.tensor(inputs, [SEQUENCES, T]) };
for (const [name, shape] of Object.entries(shapes)) {
  const size = shape.reduce((product, length) => product * length, 1);
  tensors[name] = engine.tensor(parameters[name]!.subarray(0, size), shape); // learned positions, the first T
}
const result = await executable.run(tensors);
const data = (await result.logits!.read()) as Float32Array;
await writeSafetensors(out, {
  inputs: { shape: [SEQUENCES, T], data: inputs },
  logits: { shape: [SEQUENCES, T, config.vocabularySize], data },
});
await engine.close();
