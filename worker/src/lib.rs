//! The node as one wasm module.
