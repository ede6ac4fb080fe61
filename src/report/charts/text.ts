/** Text in charts: how wide it is about, how it is cut, and how numbers are written. */

let measure: ((text: string, size: number) => number) | undefined;

/** Where there are fonts to measure with, widths are theirs. @param own px of a text of so many px */
export function measureTextBy(own: (text: string, size: number) => number): void {
  measure = own;
}

/** px of a label; without fonts an estimate, for a sans-serif that runs wide. */
export function textWidth(text: string, size = 12): number {
  if (measure) return measure(text, size);
  let width = 0;
  for (const character of text) width += emOf(character);
  return width * size;
}

function emOf(character: string): number {
  if (character.codePointAt(0)! > 0x2e7f) return 1;
  if (/[MWmw@%<>=+~^#]/.test(character)) return 0.9;
  if (/[A-Z]/.test(character)) return 0.72;
  return /[iljtfrI.,:;'|! ()[\]]/.test(character) ? 0.38 : 0.62;
}

/** The text in so many px, with an ellipsis in its midst where it was cut: names of a kind often differ at their ends. */
export function fitText(text: string, width: number, size = 12): string {
  if (textWidth(text, size) <= width) return text;
  const characters = [...text];
  for (let kept = characters.length - 1; kept > 1; kept--) {
    const head = Math.ceil(kept * HEAD);
    const cut = `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (kept - head)).join("")}`;
    if (textWidth(cut, size) <= width) return cut;
  }
  return `${characters[0] ?? ""}…`;
}

/** Share of a cut text that stands before the ellipsis. */
const HEAD = 0.6;

/** 1234567 → 1,234,567 */
export function integer(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** 0.12345 → 12.35%; more digits below a tenth of a per cent */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return "0%";
  return Math.abs(value) >= 0.095 ? `${value.toFixed(2)}%` : `${Number(value.toPrecision(2))}%`;
}

/** At an axis: 0.05 → 5% */
export function axisPercent(share: number): string {
  return `${Number((share * 100).toPrecision(6))}%`;
}

/** 1234567 → 1.23M */
export function short(value: number): string {
  const units = ["", "k", "M", "B", "T"];
  let [scaled, unit] = [value, 0];
  while (Math.abs(scaled) >= 999.5 && unit < units.length - 1) [scaled, unit] = [scaled / 1000, unit + 1];
  return `${unit === 0 ? Number(scaled.toPrecision(3)) : scaled >= 99.95 ? scaled.toFixed(0) : scaled >= 9.995 ? scaled.toFixed(1) : scaled.toFixed(2)}${units[unit]}`;
}

/** At an axis: 1000000 → 1M */
export function axisShort(value: number): string {
  const units = ["", "k", "M", "B", "T"];
  let [scaled, unit] = [value, 0];
  while (Math.abs(scaled) >= 1000 && unit < units.length - 1) [scaled, unit] = [scaled / 1000, unit + 1];
  return `${Number(scaled.toPrecision(4))}${units[unit]}`;
}

export function loss(value: number): string {
  return value.toFixed(3);
}
