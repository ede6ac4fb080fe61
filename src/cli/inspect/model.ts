/** Models and their tensors: safetensors files, and folders in Hugging Face's layout. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, type SafetensorInfo } from "../../formats/safetensors.ts";
import { DoremiError } from "../../lib/errors.ts";
import { modelFiles } from "../../trainer/model-folder.ts";
import { formatCount, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";
import { readJsonDocument } from "./json-file.ts";

export async function inspectSafetensors(path: string): Promise<Inspection> {
  const { facts, lines } = describeTensors(await readTensors(path));
  return { kind: "safetensors file", facts, lines };
}

/** A folder with config.json and, if it is whole, model.safetensors or its shards. */
export async function inspectModel(folder: string): Promise<Inspection> {
  const config = (await readJsonDocument(join(folder, "config.json")))?.value;
  if (typeof config?.model_type !== "string") {
    const path = join(folder, "config.json");
    throw new DoremiError("bad-data", "bad-json", `${path}: must be a model's configuration with a model_type`, {
      file: path,
    });
  }
  const [missing, shards] = await presentShards(folder);
  const tensors =
    missing === undefined ? describeTensors((await Promise.all(shards.map(readTensors))).flat()) : undefined;
  const facts = { config, ...tensors?.facts };
  const figure = (...keys: string[]): string | undefined => {
    const value = keys.map((key) => config[key]).find((found) => found !== undefined && found !== null);
    return value === undefined ? undefined : String(value);
  };
  const rows: [string, string | undefined][] = [
    ["parameters", tensors ? formatCount(tensors.facts.parameters) : `unknown: ${missing} is missing`],
    ["files", shards.length > 1 ? plural(shards.length, "shard") : undefined],
    ["layers", figure("n_layer", "num_hidden_layers") ?? "unknown"],
    ["width", figure("n_embd", "hidden_size") ?? "unknown"],
    ["inner width", figure("n_inner", "intermediate_size")],
    ["heads", figure("n_head", "num_attention_heads") ?? "unknown"],
    ["key and value heads", figure("num_key_value_heads")],
    ["positions", figure("n_positions", "max_position_embeddings") ?? "unknown"],
    ["vocabulary", figure("vocab_size") ?? "unknown"],
    ["tied embeddings", figure("tie_word_embeddings")],
  ];
  return {
    kind: `model (${config.model_type})`,
    facts,
    lines: [
      ...formatPairs(rows.filter((row): row is [string, string] => row[1] !== undefined)),
      ...(tensors ? ["", ...tensors.lines] : []),
    ],
  };
}

interface NamedTensor extends SafetensorInfo {
  readonly name: string;
}

async function readTensors(path: string): Promise<NamedTensor[]> {
  const file = await openSafetensors(path);
  try {
    return [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  } finally {
    await file.close();
  }
}

function describeTensors(tensors: readonly NamedTensor[]) {
  const parameters = tensors.reduce((sum, tensor) => sum + elements(tensor), 0);
  return {
    facts: { tensors, parameters },
    lines: [
      `${plural(tensors.length, "tensor")}, ${formatInteger(parameters)} numbers`,
      "",
      ...formatTable(
        [
          { header: "tensor", align: "left" },
          { header: "type", align: "left" },
          { header: "shape", align: "left" },
          { header: "numbers" },
        ],
        tensors.map((tensor) => [
          tensor.name,
          tensor.dtype,
          `[${tensor.shape.join(", ")}]`,
          formatInteger(elements(tensor)),
        ]),
      ),
    ],
  };
}

/** The files of the folder's tensors, and the name of the first that is not there. */
async function presentShards(folder: string): Promise<[missing: string | undefined, paths: string[]]> {
  const names = (await modelFiles(folder)).filter((name) => name.endsWith(".safetensors"));
  for (const name of names) if (!(await stat(join(folder, name)).catch(() => undefined))) return [name, []];
  return [undefined, names.map((name) => join(folder, name))];
}

function elements({ shape }: Pick<SafetensorInfo, "shape">): number {
  return shape.reduce((product, size) => product * size, 1);
}
