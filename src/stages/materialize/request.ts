/** What the parts of materializing are given, and what they check of each other's work. */
import { DoremiError } from "../../lib/errors.ts";
import type { Manifest } from "../../manifest/contract.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { TransformReference } from "../count/contract.ts";
import type { WorkerPool } from "../pool.ts";
import type { StageEvent } from "../stage.ts";
import type { OutputFormat } from "./output-format.ts";
import type { MaterializePlan, MaterializeSettings, Totals } from "./plan.ts";
import type { SetState } from "./state.ts";
import type { SetUpload } from "./upload.ts";

export interface MaterializeRequest {
  readonly manifest: Manifest;
  readonly manifestSha256: string;
  /** absolute */
  readonly manifestPath: string;
  readonly selectionPath: string;
  /** absolute path of each of the manifest's files */
  readonly sources: readonly string[];
  readonly tokenizer: TokenizerDescriptor;
  readonly transform: TransformReference | null;
  readonly settings: MaterializeSettings;
  readonly format: OutputFormat;
  /** absolute; claimed by `state` */
  readonly output: string;
  readonly state: SetState;
  /** where the set goes from `output`; null where it stays */
  readonly upload: SetUpload | null;
  readonly pool: WorkerPool;
  readonly signal: AbortSignal | undefined;
  readonly emit: (event: StageEvent) => void;
}

/** Nothing was lost on the way: domain by domain the plan's totals, which are the manifest's. */
export function checkDone(plan: MaterializePlan, marks: readonly { readonly totals: Totals }[], verb: string): void {
  for (const [d, name] of plan.domains.entries()) {
    const documents = sum(marks.map((mark) => mark.totals.documents[d]!));
    const tokens = sum(marks.map((mark) => mark.totals.tokens[d]!));
    if (documents === plan.totals.documents[d] && tokens === plan.totals.tokens[d]) continue;
    throw new DoremiError(
      "internal",
      "lost-document",
      `domain ${name}: ${verb} ${documents} documents of ${tokens} tokens, and the manifest selects ` +
        `${plan.totals.documents[d]} of ${plan.totals.tokens[d]}; delete the output folder and run again`,
    );
  }
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
