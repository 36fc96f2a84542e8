//! `cargo xtask verify`: everything about the code that can be checked without running it.
//!
//! It only reads (and fills `target/`, as every build does); `cargo xtask fix` changes.

mod docs;
mod edges;
mod licences;
mod lines;
mod sources;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

use crate::{compile, root, run};

/// One check: its name and how it is made.
type Check = (&'static str, fn() -> Result<()>);

/// Every check, the quick ones first.
const CHECKS: &[Check] = &[
    ("format", format),
    ("lines", lines::check),
    ("sources", sources::check),
    ("dependencies", || edges::check(&metadata()?)),
    ("licences", || licences::check(&metadata()?)),
    ("map", || docs::check(&metadata()?)),
    ("clippy", clippy),
    ("clippy wasm", clippy_wasm),
    ("rustdoc", rustdoc),
];

/// Runs every check, one line each, and repeats at the end what failed.
pub(crate) fn verify() -> Result<ExitCode> {
    let mut failures = Vec::new();
    for (name, check) in CHECKS {
        run::step("Verifying", name);
        if let Err(error) = check() {
            println!("FAILED {name}: {error:#}\n");
            failures.push(*name);
        }
    }
    if failures.is_empty() {
        println!("verify: {} checks passed", CHECKS.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "verify: {} of {} checks failed: {}",
        failures.len(),
        CHECKS.len(),
        failures.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// `cargo xtask fix`: formats, and takes clippy's machine-made suggestions.
pub(crate) fn fix() -> Result<ExitCode> {
    run::run(run::cargo().args(["fmt", "--all"]))?;
    let clippy = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace"];
    run::run(run::cargo().args(clippy).arg("--all-targets"))?;
    run::run(run::cargo().args(["fmt", "--all"]))?;
    Ok(ExitCode::SUCCESS)
}

fn format() -> Result<()> {
    run::run(run::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let features = ["--workspace", "--all-targets", "--features", "xtask/wasm-tests"];
    run::run(run::cargo().arg("clippy").args(features).args(["--", "-D", "warnings"]))
}

fn clippy_wasm() -> Result<()> {
    compile::add_wasm_target()?;
    let mut cargo = run::cargo();
    cargo.args(["clippy", "--target", compile::WASM, "--all-targets"]);
    for (package, _) in compile::MODULES {
        cargo.args(["--package", package]);
    }
    run::run(cargo.args(["--", "-D", "warnings"]))
}

fn rustdoc() -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    // Private items are documented, too, so links to them lead somewhere.
    run::run(cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}

fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(root::dir()).features(CargoOpt::AllFeatures);
    command.exec().context("cargo metadata")
}

/// Fails with every finding, one a line.
fn none(findings: Vec<String>) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    bail!("\n  {}", findings.join("\n  "))
}
