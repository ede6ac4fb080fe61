// An array begins at a multiple of so many bytes, and the room that it has is one: a line of a processor's cache.

export const BLOCK_BYTES: usize = 64;
