/**
 * What goes wrong with an object store, in our words. What the client says is never passed on: it may hold signed URLs.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { type ObjectUri, parseObjectUri, shownLocation } from "./location.ts";

export type FaultKind =
  | "not-found"
  | "no-bucket"
  | "denied"
  | "no-credentials"
  | "changed"
  | "clock"
  | "region"
  | "no-region"
  | "unavailable"
  | "refused";

/** A failed request: what it was, and whether the same request may go well later. */
export class RemoteFault extends Error {
  readonly kind: FaultKind;
  /** of ours, such as “HTTP 503 SlowDown”; free of secrets */
  readonly found: string;

  constructor(kind: FaultKind, found: string) {
    super(found);
    this.kind = kind;
    this.found = found;
  }

  get isTemporary(): boolean {
    return this.kind === "unavailable";
  }
}

/** From an HTTP status, and the error code of the store's answer where it has one. */
export function faultOfStatus(status: number, code = ""): RemoteFault {
  const found = `HTTP ${status}${code === "" ? "" : ` ${code}`}`;
  return new RemoteFault(kindOf(status, code), found);
}

function kindOf(status: number, code: string): FaultKind {
  if (/^(RequestTimeTooSkewed|RequestExpired)$/.test(code)) return "clock";
  if (/^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/.test(code))
    return "region";
  if (/^(NoSuchBucket|ContainerNotFound)$/.test(code)) return "no-bucket";
  if (/^(ExpiredToken|InvalidToken|TokenRefreshRequired)$/.test(code)) return "denied";
  if (status === 412) return "changed";
  if (status === 404 || status === 410) return "not-found";
  if (status === 401 || status === 403) return "denied";
  if (status === 301) return "region";
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "unavailable";
  return "refused";
}

const VARIABLES: Readonly<Record<ObjectUri["scheme"], string>> = {
  s3: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN where there is one), or AWS_PROFILE; for a public bucket AWS_NO_SIGN_REQUEST=1",
  gs: "GOOGLE_APPLICATION_CREDENTIALS (a key file); for a public bucket CLOUDSDK_AUTH_DISABLE_CREDENTIALS=1",
  az: "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_STORAGE_CONNECTION_STRING",
  https: "a URL that gives access (signed, or user:password@host)",
  http: "a URL that gives access (user:password@host)",
};

/**
 * The error for a user.
 * @param attempts requests that were made
 */
export function explainFault(fault: RemoteFault, uri: string, attempts: number): DoremiError {
  const shown = shownLocation(uri);
  const { scheme, store } = parseObjectUri(uri);
  const fail = (kind: ConstructorParameters<typeof DoremiError>[0], code: ErrorCode, text: string) =>
    new DoremiError(kind, code, `${shown}: ${text}`, { file: shown });
  switch (fault.kind) {
    case "not-found":
      return fail("missing-input", "missing-file", `no such object (${fault.found}); check the URI`);
    case "no-bucket":
      return fail(
        "missing-input",
        "missing-bucket",
        `${store} does not exist (${fault.found}); check its name, and the endpoint`,
      );
    case "denied":
      return fail(
        "no-permission",
        "no-permission",
        `access denied (${fault.found}); the credentials must allow it: ${VARIABLES[scheme]}`,
      );
    case "no-credentials":
      return fail("no-permission", "no-credentials", `no credentials were found; set ${VARIABLES[scheme]}`);
    case "changed":
      return fail(
        "bad-data",
        "file-changed",
        "is another version than it was when it was listed: it was written over; run again when its writer is done",
      );
    case "clock":
      return fail(
        "no-permission",
        "clock-skew",
        `the store refuses the request's time (${fault.found}); set this machine's clock`,
      );
    case "region":
      return fail(
        "bad-configuration",
        "wrong-region",
        `the bucket is of another region (${fault.found}); set AWS_REGION to it`,
      );
    case "no-region":
      return fail(
        "bad-configuration",
        "no-region",
        "the bucket's region must be known; set AWS_REGION (or AWS_ENDPOINT_URL)",
      );
    case "unavailable":
      return fail(
        "unavailable",
        "unavailable",
        `no answer that can be used after ${attempts} attempts (${fault.found}); run the same command again later`,
      );
    case "refused":
      return fail("bad-data", "refused", `the store refuses the request (${fault.found})`);
    default:
      return fault.kind satisfies never;
  }
}
