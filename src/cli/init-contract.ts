/** Options of `doremi init`: a module of its own, so that the command and its work do not import each other. */
import type { CommonOptions } from "./session.ts";

export interface InitOptions extends CommonOptions {
  readonly output: string;
  readonly textColumn?: string;
  readonly domainColumn?: string;
  readonly tokenizer?: string;
  readonly budget?: number | "auto";
  readonly yes?: boolean;
  readonly force?: boolean;
}
