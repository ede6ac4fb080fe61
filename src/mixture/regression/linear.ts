/** The linear law L(x) = Σ b_j x_j. On the simplex an intercept would be one more b for all, so there is none. */
import { dot, type Law, type Mixture } from "./law.ts";
import { leastSquares } from "./least-squares.ts";

export interface LinearLaw extends Law {
  /** b: the loss of a model trained on that domain alone, as the line has it */
  readonly coefficients: Readonly<Float64Array>;
  gradient(mixture: Mixture): Float64Array;
}

export function fitLinear(mixtures: readonly Mixture[], losses: ArrayLike<number>): LinearLaw {
  return linearLaw(leastSquares(mixtures, losses).coefficients);
}

export function linearLaw(coefficients: Readonly<Float64Array>): LinearLaw {
  return {
    coefficients,
    predict: (mixture) => dot(coefficients, mixture),
    gradient: () => Float64Array.from(coefficients),
  };
}
