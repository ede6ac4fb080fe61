/** Tables of tensors by name, and what a program says of them. */
import type { TensorSpec } from "../engine/engine.ts";

export const float = (...shape: readonly number[]): TensorSpec => ({ shape, dtype: "float32" });
export const int = (...shape: readonly number[]): TensorSpec => ({ shape, dtype: "int32" });

/** Under the names `prefix/name`. */
export function prefixed<T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));
}

export function mapValues<T, U>(
  values: Readonly<Record<string, T>>,
  map: (value: T, name: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value, name)]));
}
