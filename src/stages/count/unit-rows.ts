/** What counting says of each row of a unit. */

/** Values of `domain` that are no index: the row is no document; it is one, and nothing says its domain. */
export const NO_DOCUMENT = -1;
export const NO_DOMAIN = -2;

export interface UnitRows {
  readonly rows: number;
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  /** one per tokenizer */
  readonly tokens: readonly Uint32Array[];
}
