/** TensorFlow.js, loaded when something is traced and not before, so that commands without a model start fast. */
import { registerGradients } from "./gradients.ts";

export type TensorFlow = typeof import("@tensorflow/tfjs-core");

let loaded: Promise<TensorFlow> | undefined;

export function loadTensorFlow(): Promise<TensorFlow> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<TensorFlow> {
  const module: TensorFlow & { default?: TensorFlow } = await import("@tensorflow/tfjs-core");
  const tf = module.default ?? module; // CommonJS: Node finds the whole under `default`
  registerGradients(tf);
  return tf;
}
