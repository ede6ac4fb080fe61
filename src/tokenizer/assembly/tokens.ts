// Where a model leaves the ids of the piece that it saw last.

export let TOKENS: usize = 0;

export function setTokens(ids: usize): void {
  TOKENS = ids;
}
