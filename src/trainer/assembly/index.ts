// The optimizers' arithmetic over arrays of 32-bit floats, in place: what the host calls. The host lays the arrays out,
// each with room for a whole number of blocks; what is behind an array's last value is 0 and stays 0.
import { BLOCK_BYTES } from "./blocks";

export { addTo, sumOfSquares } from "./sums";
export { adamW } from "./adamw";
export {
  averageFactored,
  averageSquares,
  factoredSquares,
  plainSquares,
  updateByFactors,
  updateBySquares,
} from "./adafactor";

/** Where arrays may begin. */
export function base(): usize {
  return (__heap_base + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}
