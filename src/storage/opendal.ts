/**
 * S3, Google Cloud Storage and Azure Blob Storage through Apache OpenDAL, a native library that is loaded when the first
 * such URI is read. Credentials come from the environment as each vendor's own tools take them.
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Operator } from "opendal";
import { DoremiError } from "../lib/errors.ts";
import { type ObjectUri, parseObjectUri } from "./location.ts";
import type { ObjectBackend } from "./object-backend.ts";
import { faultOfStatus, RemoteFault } from "./remote-failure.ts";

type Environment = NodeJS.ProcessEnv;

/** Of an object that is put in parts. */
const PART_BYTES = 16 << 20;
const PARTS_AT_ONCE = 4;

/** The client of one bucket or container. */
export function opendalBackend({ scheme, store, bucket }: ObjectUri): Required<ObjectBackend> {
  const { Operator } = loadOpendal(store);
  let operator: Operator | undefined;
  let hasAnswered = false;
  const ask = async <T>(request: (operator: Operator) => Promise<T>): Promise<T> => {
    try {
      operator ??= new Operator(
        SERVICES[scheme as StoreScheme],
        serviceOptions(scheme as StoreScheme, bucket, process.env),
      );
      const answer = await request(operator);
      hasAnswered = true;
      return answer;
    } catch (error) {
      throw faultOf(error, hasAnswered);
    }
  };
  const keyOf = (uri: string) => parseObjectUri(uri).key;
  return {
    async stat(uri) {
      const key = keyOf(uri);
      try {
        return statOf(await ask((operator) => operator.stat(key)));
      } catch (error) {
        if (!(error instanceof RemoteFault) || error.kind !== "not-found") throw error;
        // A HEAD has no body that would say whether it is the object or the bucket that is missing.
        await ask((operator) => operator.read(key, { offset: 0n, size: 1n }));
        throw error;
      }
    },
    async read(uri, start, end, { version }) {
      const bytes = await ask((operator) =>
        operator.read(keyOf(uri), {
          offset: BigInt(start),
          size: BigInt(end - start),
          ...(isEtag(version) && { ifMatch: version }),
        }),
      );
      if (bytes.length !== end - start) throw new RemoteFault("unavailable", "the answer ended early");
      return bytes;
    },
    async list(prefix) {
      const entries = await ask((operator) => operator.list(prefix, { recursive: true }));
      return entries.flatMap((entry) => {
        const metadata = entry.metadata();
        return metadata.isFile() ? [{ uri: `${store}/${entry.path()}`, stat: statOf(metadata) }] : [];
      });
    },
    async write(uri, content) {
      await ask((operator) => operator.write(keyOf(uri), content));
    },
    async upload(uri, path, size, signal) {
      if (size <= PART_BYTES) {
        const content = await readFile(path);
        await ask((operator) => operator.write(keyOf(uri), content));
        return;
      }
      // Nothing stands there before it is closed.
      const options = { chunk: BigInt(PART_BYTES), concurrent: PARTS_AT_ONCE };
      const writer = await ask((operator) => operator.writer(keyOf(uri), options));
      const parts = createReadStream(path, { highWaterMark: PART_BYTES, signal });
      for await (const part of parts) await ask(() => writer.write(part as Buffer));
      await ask(() => writer.close());
    },
    async remove(uri) {
      await ask((operator) => operator.delete(keyOf(uri)));
    },
  };
}

const isEtag = (version: string) => /^(W\/)?"/.test(version);

function statOf(metadata: { contentLength: bigint | null; etag: string | null; lastModified: string | null }) {
  const size = Number(metadata.contentLength ?? 0n);
  const { etag, lastModified } = metadata;
  // Azure lists ETags without their quotes.
  const version = etag === null ? (lastModified ?? `size-${size}`) : isEtag(etag) ? etag : `"${etag}"`;
  return { size, version };
}

/** At once where it was loaded before. @throws DoremiError object-stores-unavailable */
function loadOpendal(store: string): typeof import("opendal") {
  try {
    return createRequire(import.meta.url)("opendal") as typeof import("opendal");
  } catch (error) {
    const [found] = (error as Error).message.split("\n");
    throw new DoremiError(
      "bad-configuration",
      "no-object-stores",
      `${store}: needs the package opendal, which does not load here (${found}); install without --omit=optional, or on a ` +
        `system that it has a binary for (${process.platform}-${process.arch} is this one's)`,
      { cause: error },
    );
  }
}

type StoreScheme = "s3" | "gs" | "az";

const SERVICES: Readonly<Record<StoreScheme, string>> = { s3: "s3", gs: "gcs", az: "azblob" };

/** Options of the client; what is not here it finds by itself (profiles, roles, key files). */
export function serviceOptions(scheme: StoreScheme, bucket: string, environment: Environment): Record<string, string> {
  const first = (...names: string[]) =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== "");
  const isOn = (name: string) => /^(1|true|yes)$/i.test(environment[name] ?? "");
  switch (scheme) {
    case "s3": {
      const endpoint = first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
      const unsigned = isOn("AWS_NO_SIGN_REQUEST");
      return defined({
        bucket,
        endpoint,
        // Stores of other makers take any.
        region: first("AWS_REGION", "AWS_DEFAULT_REGION") ?? (endpoint === undefined ? undefined : "us-east-1"),
        ...(unsigned
          ? { allow_anonymous: "true", disable_config_load: "true", disable_ec2_metadata: "true" }
          : {
              access_key_id: first("AWS_ACCESS_KEY_ID"),
              secret_access_key: first("AWS_SECRET_ACCESS_KEY"),
              session_token: first("AWS_SESSION_TOKEN"),
              disable_ec2_metadata: isOn("AWS_EC2_METADATA_DISABLED") ? "true" : undefined,
            }),
      });
    }
    case "gs": {
      const emulator = first("STORAGE_EMULATOR_HOST");
      const unsigned = isOn("CLOUDSDK_AUTH_DISABLE_CREDENTIALS") || emulator !== undefined;
      return defined({
        bucket,
        endpoint: emulator === undefined || emulator.includes("://") ? emulator : `http://${emulator}`,
        credential_path: first("GOOGLE_APPLICATION_CREDENTIALS"),
        ...(unsigned && { allow_anonymous: "true", disable_vm_metadata: "true", disable_config_load: "true" }),
      });
    }
    case "az": {
      const connection = connectionParts(first("AZURE_STORAGE_CONNECTION_STRING") ?? "");
      const account = first("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME") ?? connection.AccountName;
      const suffix = connection.EndpointSuffix ?? "core.windows.net";
      const emulator = first("AZURITE_BLOB_STORAGE_URL");
      return defined({
        container: bucket,
        endpoint:
          first("AZURE_STORAGE_ENDPOINT") ??
          (emulator &&
            (account === undefined || emulator.endsWith(`/${account}`)
              ? emulator
              : `${emulator.replace(/\/$/, "")}/${account}`)) ??
          connection.BlobEndpoint ??
          (account === undefined ? undefined : `https://${account}.blob.${suffix}`),
        account_name: account,
        account_key: first("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY") ?? connection.AccountKey,
        sas_token: (first("AZURE_STORAGE_SAS_TOKEN") ?? connection.SharedAccessSignature)?.replace(/^\?/, ""),
      });
    }
    default:
      return scheme satisfies never;
  }
}

/** `Name=value;…`, where a value may hold `=`. */
function connectionParts(text: string): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    text.split(";").flatMap((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [] : [[part.slice(0, at).trim(), part.slice(at + 1).trim()]];
    }),
  );
}

function defined(options: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/**
 * The client says all in its message: `Kind (temporary|permanent) at operation, context: { … status: 503 … } => S3Error {
 * code: "SlowDown" … }`. Read for the parts that are ours to tell.
 */
export function faultOf(error: unknown, hasAnswered: boolean): RemoteFault {
  if (error instanceof RemoteFault) return error;
  const message = error instanceof Error ? error.message : String(error);
  const [, kind = ""] = /^(\w+) \(/.exec(message) ?? [];
  const status = Number(/\bstatus: (\d{3})\b/.exec(message)?.[1] ?? 0);
  // Credentials that were found once and are not to be had now will be there again.
  if (message.includes("reqsign::LoadCredential")) {
    return hasAnswered
      ? new RemoteFault("unavailable", "no credentials at the moment")
      : new RemoteFault("no-credentials", "");
  }
  if (status > 0) return faultOfStatus(status, /\bcode: "(\w+)"/.exec(message)?.[1] ?? headerCode(message));
  if (kind === "ConditionNotMatch") return new RemoteFault("changed", "");
  if (kind === "NotFound") return new RemoteFault("not-found", "");
  if (kind === "PermissionDenied") {
    return /credential/.test(message) ? new RemoteFault("no-credentials", "") : new RemoteFault("denied", "no answer");
  }
  if (/region is missing/.test(message)) return new RemoteFault("no-region", "");
  if (kind === "ConfigInvalid") {
    return /credential|sign|account|endpoint is empty/i.test(message)
      ? new RemoteFault("no-credentials", "")
      : new RemoteFault("refused", "its settings are not valid");
  }
  if (/too (little|much) data/.test(message)) return new RemoteFault("unavailable", "the answer ended early");
  return new RemoteFault("unavailable", "no connection");
}

/** Where the answer to a HEAD says it. */
function headerCode(message: string): string {
  return /"x-ms-error-code": "(\w+)"/.exec(message)?.[1] ?? "";
}
