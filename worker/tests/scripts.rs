//! The golden scripts of the store, the log and whole clusters, in a browser's Worker: the same
//! trace as natively, byte for byte. (Their natives are in the crates' own tests.)
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn check(scripts: &[(&str, &str)], run: fn(&str) -> String) {
    assert!(!scripts.is_empty());
    for (name, script) in scripts {
        let output = run(script);
        let line = script.lines().zip(output.lines()).position(|(want, has)| want != has);
        assert!(output == *script, "{name} differs at line {line:?}:\n{output}");
    }
}

#[wasm_bindgen_test]
fn store() {
    check(mvcc::testing::SCRIPTS, mvcc::testing::run);
}

#[wasm_bindgen_test]
fn log() {
    check(wal::testing::SCRIPTS, wal::testing::run);
}

#[wasm_bindgen_test]
fn log_on_files() {
    check(storage::testing::SCRIPTS, storage::testing::run);
}

/// Whole lives from a seed: the same here as natively, to the last frame.
#[wasm_bindgen_test]
fn lives() {
    assert!(sim::vopr::TRACES.lines().count() >= 4);
    assert_eq!(sim::vopr::traces(), sim::vopr::TRACES);
}

#[wasm_bindgen_test]
fn clusters() {
    check(sim::script::ALL, sim::script::run);
}
