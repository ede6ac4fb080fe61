/** What a folder of Hugging Face's needs to know of an architecture. */
import type { ModelConfig } from "../contract.ts";
import type { CompleteModel } from "../model.ts";
import type { ConfigFile } from "./config.ts";

export interface ModelFormat {
  /** of the tensors' names in a model with an output layer; a body stored alone has none */
  readonly prefix: string;
  /** tensors that some versions stored and that hold no parameter */
  readonly buffers: RegExp;
  /** the key of the longest sequence in config.json */
  readonly positions: string;
  toConfigFile(config: ModelConfig, endOfText: number | null): Record<string, unknown>;
  /** @throws DoremiError model-folder where the model is none that is computed here */
  fromConfigFile(file: ConfigFile): CompleteModel;
}
