/** A process that trains the small reference in the folder that it is given, and says how far it is. */
import { LONG_STEPS, smallTraining } from "../small-training.ts";

await smallTraining(process.argv[2]!, "reference", {
  input: { steps: LONG_STEPS },
  training: { checkpointEvery: 1 },
  onEvent: (event) => void (event.type === "progress" && process.stdout.write(`${event.done}\n`)),
});
