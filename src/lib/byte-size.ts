/** Sizes as people write them: 512MB, 1.5 GiB. */

export const BYTE_SIZE = /^\d+(\.\d+)? ?(kB|KB|MB|GB|KiB|MiB|GiB)?$/;

const UNITS: Record<string, number> = {
  "": 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** "512MB" → bytes; NaN for what is no size. */
export function parseBytes(text: string): number {
  const match = BYTE_SIZE.test(text) ? /^([\d.]+) ?([A-Za-z]*)$/.exec(text) : null;
  return Math.round(Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN));
}
