/** A setting of a pipeline file that is being written, and numbers as its comments say them. */

export interface Setting {
  /** such as train.proxy.steps */
  readonly path: string;
  readonly value: unknown;
  /** why this value, beside what the schema says of the setting; none where it explains itself */
  readonly why?: string;
}

/** 3,600,000 as 3.6 million: no more digits than an estimate has. */
export function formatCount(value: number): string {
  const short = (of: number) => String(Number((value / of).toPrecision(2)));
  if (value >= 1e12) return `${short(1e12)} trillion`;
  if (value >= 1e9) return `${short(1e9)} billion`;
  if (value >= 1e6) return `${short(1e6)} million`;
  return Number(value.toPrecision(2)).toLocaleString("en-US");
}
