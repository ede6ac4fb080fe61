/**
 * Rotary positions (arXiv 2104.09864) as Hugging Face's Llama has them: element i of a head turns together with element
 * i + E/2, by the position times a frequency that falls with i.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ModelConfig, RopeScaling } from "../contract.ts";

type RotaryModel = Readonly<Required<Pick<ModelConfig, "width" | "heads" | "ropeTheta" | "ropeScaling">>>;

/** [T, E], row-major; the first half of a row is the same angles as the second, with the sine's sign turned. */
export interface RotaryTables {
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

/**
 * Radians a position, E/2 of them. Rounded to float32 where transformers rounds, because what an angle is off by grows with
 * the position.
 */
export function rotaryFrequencies({ width, heads, ropeTheta, ropeScaling }: RotaryModel): Float32Array {
  const E = width / heads;
  const plain = Float32Array.from({ length: E / 2 }, (_, i) => 1 / Math.fround(ropeTheta ** Math.fround((2 * i) / E)));
  return ropeScaling ? plain.map((frequency) => scaled(frequency, ropeScaling)) : plain;
}

/** Between the two bounds of the wavelength, from stretched to as it was, in proportion. */
function scaled(frequency: number, scaling: RopeScaling): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions } = scaling;
  const turns = (originalPositions * frequency) / (2 * Math.PI); // within the original positions
  const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return share * frequency + ((1 - share) * frequency) / factor;
}

export function rotaryTables(model: RotaryModel, T: number): RotaryTables {
  const E = model.width / model.heads;
  const frequencies = rotaryFrequencies(model);
  const [cosine, sine] = [new Float32Array(T * E), new Float32Array(T * E)];
  for (let t = 0; t < T; t++) {
    for (const [i, frequency] of frequencies.entries()) {
      const [first, second] = [t * E + i, t * E + E / 2 + i];
      const angle = Math.fround(t * frequency);
      cosine[first] = cosine[second] = Math.cos(angle);
      sine[second] = Math.sin(angle);
      sine[first] = -sine[second];
    }
  }
  return { cosine, sine };
}

/** x turned by its position. The gradient is turned back, and keeps nothing. @param x [B, H, T, E] @returns [B, H, T, E] */
export function rotate(tf: TensorFlow, x: Tensor, { cosine, sine }: RotaryTables): Tensor {
  const [, , T = 0, E = 0] = x.shape;
  const turned = (x: Tensor, sine: Float32Array): Tensor => {
    const [left, right] = tf.split(x, 2, 3);
    const swapped = tf.concat([right!, left!], 3);
    return tf.add(tf.mul(x, tf.tensor2d(cosine, [T, E])), tf.mul(swapped, tf.tensor2d(sine, [T, E])));
  };
  return tf.customGrad((...args) => {
    const [x] = args as unknown as [Tensor];
    return {
      value: turned(x, sine),
      gradFunc: (dy: Tensor) =>
        turned(
          dy,
          sine.map((value) => -value),
        ),
    };
  })(x);
}
