/** A program in place of doremi, for scripts that call it: it says how it was called and ends as it is told to. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * `run` refuses an $OUTPUT with files in it, which it did not make, and ends with $RUN_STATUS; where that is
 * "signal" it waits for one and ends with the status that doremi gives it.
 */
const STAND_IN = `#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
if [ "$1" = verify ]; then
  echo '{"command":"verify","ok":true,"problems":[]}'
  exit 0
fi
if [ -n "\${OUTPUT:-}" ] && [ -n "$(ls -A "$OUTPUT" 2>/dev/null)" ]; then
  echo '{"command":"run","error":{"code":"foreign-folder","message":"it is not empty"}}'
  exit 78
fi
stopped() { echo '{"command":"run","error":{"code":"interrupted","message":"stopped"}}'; exit "$1"; }
trap 'stopped 75' USR1
trap 'stopped 130' INT
trap 'stopped 143' TERM
if [ "$RUN_STATUS" = signal ]; then
  : >"$CALLS.ready"
  # Waited for, so that a signal is taken at once and none is lost to a child in the foreground.
  while :; do sleep 0.05 & wait "$!"; done
fi
if [ "$RUN_STATUS" -eq 0 ]; then
  if [ -n "\${OUTPUT:-}" ]; then mkdir -p "$OUTPUT"; fi
  echo '{"command":"run","status":"done","output":"/runs/x","manifest":"/runs/x y/manifest.json","weights":{"a":1}}'
else
  echo '{"command":"run","error":{"code":"bad-thing","message":"it is bad"}}'
fi
exit "$RUN_STATUS"
`;

export interface Ending {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** of the stand-in and of scontrol, in order: their arguments, by spaces */
  readonly calls: readonly string[];
}

export interface Call {
  /** for the stand-ins and what a script writes */
  readonly folder: string;
  readonly command: readonly [string, ...string[]];
  readonly runStatus: number | "signal";
  readonly env?: Readonly<Record<string, string>>;
  /** sent to the script once `run` is under way */
  readonly signal?: NodeJS.Signals;
}

/** Runs a script with `doremi` and `scontrol` on its PATH being stand-ins. */
export async function callWithStandIn({ folder, command, runStatus, env, signal }: Call): Promise<Ending> {
  const bin = join(folder, "bin");
  const calls = join(folder, "calls");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "doremi"), STAND_IN);
  writeFileSync(join(bin, "scontrol"), `#!/usr/bin/env bash\nprintf 'scontrol %s\\n' "$*" >>"$CALLS"\n`);
  for (const name of ["doremi", "scontrol"]) chmodSync(join(bin, name), 0o755);
  const { DOREMI: _, OUTPUT: __, ...inherited } = process.env;
  const child = spawn(command[0], command.slice(1), {
    cwd: folder,
    env: { ...inherited, ...env, PATH: `${bin}:${process.env.PATH}`, CALLS: calls, RUN_STATUS: String(runStatus) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  if (signal !== undefined) {
    while (child.exitCode === null && !existsSync(`${calls}.ready`)) await new Promise((done) => setTimeout(done, 20));
    child.kill(signal);
  }
  const status = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  const lines = existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : [];
  return { status, stdout, stderr, calls: lines };
}
