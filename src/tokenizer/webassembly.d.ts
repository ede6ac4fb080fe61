// The part of the WebAssembly API that is used here; the compiler has it only in the DOM's library.
declare namespace WebAssembly {
  class Module {
    constructor(code: Uint8Array<ArrayBuffer>);
    private readonly brand;
  }
  class Memory {
    private constructor();
    readonly buffer: ArrayBuffer;
  }
  class Instance {
    constructor(module: Module);
    readonly exports: object;
  }
  class RuntimeError extends Error {}
  function compile(code: Uint8Array<ArrayBuffer>): Promise<Module>;
}
