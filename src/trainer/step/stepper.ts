/** The stepper that suits an engine. */
import type { InitialState, Stepper, StepperSetup } from "./contract.ts";
import { DeviceStepper } from "./device.ts";
import { HostStepper } from "./host.ts";

export function createStepper(setup: StepperSetup, initial: InitialState): Promise<Stepper> {
  return setup.engine.memory === "host" ? HostStepper.create(setup, initial) : DeviceStepper.create(setup, initial);
}
