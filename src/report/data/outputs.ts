/** What the finished stages of a run say: types only. */
import type { Manifest } from "../../manifest/contract.ts";
import type { CountOutput } from "../../stages/count/contract.ts";
import type { EvaluateOutput } from "../../stages/evaluate/contract.ts";
import type { MainOutput } from "../../stages/main/contract.ts";
import type { MixtureOutput } from "../../stages/mixture/contract.ts";
import type { ProxyOutput } from "../../stages/proxy/contract.ts";
import type { ReferenceOutput } from "../../stages/reference/contract.ts";
import type { ResampleOutput } from "../../stages/resample/contract.ts";

export interface StageOutputs {
  readonly count: CountOutput | undefined;
  /** by stage name, such as proxy-round-2 */
  readonly references: ReadonlyMap<string, ReferenceOutput>;
  readonly proxies: ReadonlyMap<string, ProxyOutput>;
  readonly mains: ReadonlyMap<string, MainOutput>;
  readonly mixture: MixtureOutput | undefined;
  readonly resample: ResampleOutput | undefined;
  readonly evaluate: EvaluateOutput | undefined;
  readonly manifest: Manifest | undefined;
}
