/** What the `data` section says of the corpus, as the stages take it. Pure. */
import { isAbsolute, join } from "node:path";
import type { DomainRule } from "../manifest/domain-rule.ts";
import type { DiscoverOutput } from "../stages/discover/contract.ts";
import type { TokenizeInput } from "../stages/tokenize/contract.ts";
import { isRemote, rememberSigned, withoutFileScheme } from "../storage/location.ts";
import { namedDomains } from "./domain-settings.ts";
import type { Pipeline } from "./load.ts";

/** A pattern as written, made absolute, or of URIs; characters of the base folder that globs would take as their own are escaped. */
export function absolutePattern(base: string, pattern: string): string {
  // From here on without credentials: settings are written into records.
  if (isRemote(pattern)) return rememberSigned(pattern);
  const path = withoutFileScheme(pattern);
  return isAbsolute(path) ? path : join(base.replace(/[*?[\]{}()!]/g, "\\$&"), path);
}

/** As the settings have it; `found` adds what discover found out of the domains. */
export function domainRuleOf({ config }: Pipeline, found?: DiscoverOutput): DomainRule {
  const { domainMap = null, onUnlistedDomain: unlisted } = config.data;
  return { map: domainMap, listed: found ? found.domains : namedDomains(config), unlisted };
}

export function heldOutRule(pipeline: Pipeline): TokenizeInput["heldOut"] {
  const { heldOut } = pipeline.config.data;
  if (heldOut === "none") return { kind: "none" };
  return "files" in heldOut ? { kind: "files" } : { kind: "fraction", ...heldOut };
}
