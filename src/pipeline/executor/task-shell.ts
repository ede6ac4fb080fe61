/** What a task of any cluster does, as lines of a POSIX shell. Pure. */
import type { Step } from "./contract.ts";
import { quoted } from "./steps.ts";

/**
 * Runs doremi with `$task` and `$workers`, hands signals on to it as they come, says its exit status in the log and keeps
 * it in `$status`.
 *
 * @param program how doremi is started: words
 */
export function taskLines({ command }: Step, program: readonly string[]): string {
  return `# In the background, so that a signal is handed on as it comes.
child=
trap 'signalled=1; [ -z "$child" ] || kill -USR1 "$child"' USR1
trap 'signalled=1; [ -z "$child" ] || kill -TERM "$child"' TERM
${program.map(quoted).join(" ")} ${command} &
child=$!
# wait returns early when a signal comes, and then is asked again; 127: it had said the status already.
status=127
signalled=1
while [ -n "$signalled" ]; do
  signalled=
  waited=0
  wait "$child" || waited=$?
  [ "$waited" -eq 127 ] || status=$waited
done
echo "=== exit status $status"
`;
}

/** The line that an attempt begins with in the log of its task. @param by what runs it, in shell */
export function headingLine({ name }: Step, by: string): string {
  return `echo "=== $(date -u +%FT%TZ) ${name} $task, ${by}"\n`;
}
