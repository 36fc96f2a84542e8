//! wasm-bindgen's test runner, built from this workspace's lock file.
//!
//! It starts chromedriver, serves the test module and prints what came of it. Being a part of the
//! workspace it cannot drift from the version of wasm-bindgen that the module was built with, and
//! nothing has to be installed.

use std::process::ExitCode;

fn main() -> ExitCode {
    match wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
