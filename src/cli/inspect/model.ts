/** Models and their tensors: safetensors files, and folders in Hugging Face's layout. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, type SafetensorInfo } from "../../formats/safetensors.ts";
import { DoremiError } from "../../lib/errors.ts";
import { formatCount, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";
import { readJsonDocument } from "./json-file.ts";

export async function inspectSafetensors(path: string): Promise<Inspection> {
  const file = await openSafetensors(path);
  try {
    const tensors = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const parameters = tensors.reduce((sum, tensor) => sum + elements(tensor), 0);
    return {
      kind: "safetensors file",
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
  } finally {
    await file.close();
  }
}

/** A folder with config.json and, if it is whole, model.safetensors. */
export async function inspectModel(folder: string): Promise<Inspection> {
  const config = (await readJsonDocument(join(folder, "config.json")))?.value;
  if (typeof config?.model_type !== "string") {
    const path = join(folder, "config.json");
    throw new DoremiError("bad-data", "bad-json", `${path}: must be a model's configuration with a model_type`, {
      file: path,
    });
  }
  const weights = join(folder, "model.safetensors");
  const present = (await stat(weights).catch(() => undefined)) !== undefined;
  const tensors = present ? await inspectSafetensors(weights) : undefined;
  const facts = { config, ...tensors?.facts };
  const parameters =
    "parameters" in facts ? formatCount(facts.parameters as number) : "unknown: model.safetensors is missing";
  const figure = (...keys: string[]) =>
    String(keys.map((key) => config[key]).find((value) => value !== undefined) ?? "unknown");
  return {
    kind: `model (${config.model_type})`,
    facts,
    lines: [
      ...formatPairs([
        ["parameters", parameters],
        ["layers", figure("n_layer", "num_hidden_layers")],
        ["width", figure("n_embd", "hidden_size")],
        ["heads", figure("n_head", "num_attention_heads")],
        ["positions", figure("n_positions", "max_position_embeddings")],
        ["vocabulary", figure("vocab_size")],
      ]),
      ...(tensors ? ["", ...tensors.lines] : []),
    ],
  };
}

function elements({ shape }: Pick<SafetensorInfo, "shape">): number {
  return shape.reduce((product, size) => product * size, 1);
}
