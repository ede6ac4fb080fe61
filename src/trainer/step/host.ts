/**
 * Steps on an engine whose memory is this process's: the graph writes its gradients into flat WebAssembly memory, and the
 * optimizer updates the parameters in place there, where the next run reads them. No array is copied or made twice.
 */
import type { EngineTensor, Executable } from "../../engine/engine.ts";
import type { NamedArray } from "../../formats/safetensors.ts";
import type { TrainingBatch } from "../contract.ts";
import { parameterShapes } from "../model.ts";
import { createHostOptimizer, type HostOptimizer, optimizerStateShapes } from "../optimizer.ts";
import { gradientProgram, lossProgram } from "../programs.ts";
import type { InitialState, StepOutcome, Stepper, StepperSetup, StepRequest } from "./contract.ts";
import {
  type Feeds,
  forwardInParts,
  gradientShape,
  needsForward,
  type PartRuns,
  partsOf,
  runParts,
  shapesOfFeeds,
} from "./parts.ts";

export class HostStepper implements Stepper, PartRuns {
  readonly atOnce = 1;
  readonly #setup: StepperSetup;
  readonly #optimizer: HostOptimizer;
  readonly #gradients: Executable;
  readonly #forward: Executable | undefined;
  readonly #feedShapes: Readonly<Record<string, readonly number[]>>;
  readonly #parameters: Record<string, EngineTensor> = {};
  /** where the gradients and the losses are written */
  readonly #into: Record<string, EngineTensor> = {};
  readonly #losses: Float32Array;

  private constructor(
    setup: StepperSetup,
    optimizer: HostOptimizer,
    gradients: Executable,
    forward: Executable | undefined,
  ) {
    const { engine, model, microBatch } = setup;
    this.#setup = setup;
    this.#optimizer = optimizer;
    this.#gradients = gradients;
    this.#forward = forward;
    this.#feedShapes = shapesOfFeeds(setup);
    for (const [name, shape] of Object.entries(parameterShapes(model))) {
      this.#parameters[`parameter/${name}`] = engine.tensor(optimizer.parameters[name]!, shape);
      this.#into[`gradient/${name}`] = engine.tensor(optimizer.gradients[name]!, shape);
    }
    this.#losses = new Float32Array(microBatch * model.sequenceLength);
    this.#into.losses = engine.tensor(this.#losses, [microBatch, model.sequenceLength]);
  }

  static async create(setup: StepperSetup, initial: InitialState): Promise<HostStepper> {
    const { engine, model, optimizer: config, precision, microBatch } = setup;
    const accumulate = partsOf(setup) > 1;
    const optimizer = await createHostOptimizer(parameterShapes(model), config, { accumulate });
    for (const [name, values] of Object.entries(optimizer.parameters)) values.set(initial(`parameter/${name}`)!);
    for (const [name, values] of Object.entries(optimizer.state)) {
      const start = initial(name);
      if (start) values.set(start);
    }
    return new HostStepper(
      setup,
      optimizer,
      await engine.compile(gradientProgram(gradientShape(setup)), { precision }),
      needsForward(setup) || setup.evaluates
        ? await engine.compile(lossProgram(model, microBatch), { precision })
        : undefined,
    );
  }

  async run(requests: readonly StepRequest[], lossScale: number, signal?: AbortSignal): Promise<StepOutcome[]> {
    const outcomes: StepOutcome[] = [];
    for (const request of requests) {
      const losses = await runParts(this.#setup, request, lossScale, this, signal);
      outcomes.push({ losses, ...this.#optimizer.step(request.step, this.#setup.steps, 1 / lossScale) });
    }
    return outcomes;
  }

  async forward(feeds: Feeds): Promise<Float32Array> {
    await this.#forward!.run({ ...this.#parameters, ...this.#tensors(feeds) }, { losses: this.#into.losses! });
    return this.#losses;
  }

  async gradients(feeds: Feeds, first: boolean): Promise<Float32Array> {
    await this.#gradients.run({ ...this.#parameters, ...this.#tensors(feeds) }, this.#into);
    if (partsOf(this.#setup) > 1) this.#optimizer.accumulate(first);
    return this.#losses;
  }

  losses(batch: Pick<TrainingBatch, "inputs" | "targets">): Promise<Float32Array> {
    return forwardInParts(this.#setup, batch, this);
  }

  async read(): Promise<Record<string, NamedArray>> {
    const shapes = parameterShapes(this.#setup.model);
    const tensors: Record<string, NamedArray> = {};
    for (const [name, shape] of Object.entries(shapes))
      tensors[`parameter/${name}`] = { shape, data: this.#optimizer.parameters[name]!.slice() };
    for (const [name, shape] of Object.entries(optimizerStateShapes(shapes, this.#setup.optimizer)))
      tensors[name] = { shape, data: this.#optimizer.state[name]!.slice() };
    return tensors;
  }

  async finish(): Promise<Record<string, Float32Array>> {
    await this.#closePrograms(); // first: what they hold is much more than the copies
    const parameters: Record<string, Float32Array> = {};
    for (const [name, values] of Object.entries(this.#optimizer.parameters)) parameters[name] = values.slice();
    this.#optimizer.close();
    return parameters;
  }

  async close(): Promise<void> {
    await this.#closePrograms();
    this.#optimizer.close();
  }

  async #closePrograms(): Promise<void> {
    for (const tensor of [...Object.values(this.#parameters), ...Object.values(this.#into)]) tensor.dispose();
    await this.#gradients.close();
    await this.#forward?.close();
  }

  #tensors(feeds: Feeds): Record<string, EngineTensor> {
    return Object.fromEntries(
      Object.entries(feeds).map(([name, data]) => [name, this.#setup.engine.tensor(data, this.#feedShapes[name]!)]),
    );
  }
}
