/** Sizes as people write and read them: 512MB, 1.5 GiB. */

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

const SCALES = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"] as const;

/** Three significant digits and a decimal prefix: 12345 → "12.3", "k"; 999 → "999", "". */
export function scaled(
  value: number,
  scales: readonly string[] = SCALES,
): { readonly number: string; readonly prefix: string } {
  let scale = 0;
  let rest = Math.abs(value);
  // 999.5 would print as 1000: it belongs to the next prefix.
  while (rest >= 999.5 && scale < scales.length - 1) {
    rest /= 1000;
    scale++;
  }
  const decimals = rest >= 99.95 || (scale === 0 && Number.isInteger(rest)) ? 0 : rest >= 9.995 ? 1 : 2;
  return { number: `${value < 0 ? "-" : ""}${rest.toFixed(decimals)}`, prefix: scales[scale]! };
}

/** Decimal units, as disks are sold: 12345678 → "12.3 MB". */
export function formatBytes(bytes: number): string {
  const { number, prefix } = scaled(bytes);
  return `${number} ${prefix}B`;
}
