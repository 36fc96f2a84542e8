//! Compiling: the two wasm modules and the native program, side by side.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Message, TargetKind};

use crate::run;

/// The wasm target that a page runs.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// The crates that become wasm modules, and the names of their files.
pub(crate) const MODULES: [(&str, &str); 2] =
    [("kvorum-web", "kvorum_web"), ("kvorum-worker", "kvorum_worker")];

/// What was compiled.
pub(crate) struct Compiled {
    /// Each module's name and file.
    pub(crate) modules: Vec<(&'static str, PathBuf)>,
    /// The native program `kvorum`.
    pub(crate) program: PathBuf,
}

/// Compiles everything that a running site needs.
///
/// The two cargos use profiles of their own, so neither holds the lock that the other waits for,
/// and while the last step of the modules keeps one core busy the other one has work, too.
pub(crate) fn all(debug_wasm: bool) -> Result<Compiled> {
    add_wasm_target()?;
    let native = start(&["--release", "--package", "kvorum", "--bin", "kvorum"])?;
    let profile = if debug_wasm { "dev" } else { "wasm" };
    let mut args = vec!["--profile", profile, "--target", WASM];
    for (package, _) in MODULES {
        args.extend(["--package", package]);
    }
    // The other one is waited for even when this one fails: nothing may go on in the background.
    let wasm = finish(start(&args)?);
    let program = finish(native)?;
    let wasm = wasm?;
    let modules = MODULES
        .iter()
        .map(|(package, name)| Ok((*name, module(&wasm, name).ok_or_else(|| no_module(package))?)))
        .collect::<Result<_>>()?;
    let program = program
        .into_iter()
        .find_map(|artifact| artifact.program)
        .ok_or_else(|| anyhow!("cargo built no program `kvorum`"))?;
    Ok(Compiled { modules, program })
}

/// Something that cargo made.
struct Artifact {
    /// A program that can be run.
    program: Option<PathBuf>,
    /// Every file of it.
    files: Vec<PathBuf>,
}

/// Starts a `cargo build`. Bars of two cargos would overwrite each other, so there are lines only.
fn start(args: &[&str]) -> Result<Child> {
    let mut command = run::cargo();
    command.arg("build").args(args).arg("--message-format=json-render-diagnostics");
    command.env("CARGO_TERM_PROGRESS_WHEN", "never").stdout(Stdio::piped());
    run::step("Building", &args.join(" "));
    command.spawn().with_context(|| format!("cannot start `{}`", run::line(&command)))
}

/// Reads what a cargo says that it made, to its end.
fn finish(mut cargo: Child) -> Result<Vec<Artifact>> {
    let stdout = cargo.stdout.take().context("cargo has no standard output")?;
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(std::io::BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message?
            && !artifact.target.is_kind(TargetKind::CustomBuild)
        {
            artifacts.push(Artifact {
                program: artifact.executable.map(Into::into),
                files: artifact.filenames.into_iter().map(Into::into).collect(),
            });
        }
    }
    if !cargo.wait()?.success() {
        bail!("the build failed; the lines above say why");
    }
    Ok(artifacts)
}

/// Compiles one program for development and returns where it is.
pub(crate) fn program(args: &[&str], name: &str) -> Result<PathBuf> {
    let artifacts = finish(start(args)?)?;
    artifacts
        .into_iter()
        .filter_map(|artifact| artifact.program)
        .find(|program| program.file_stem().is_some_and(|stem| stem == name))
        .ok_or_else(|| anyhow!("cargo built no program `{name}`"))
}

fn module(artifacts: &[Artifact], name: &str) -> Option<PathBuf> {
    artifacts
        .iter()
        .flat_map(|artifact| &artifact.files)
        .find(|file| {
            file.extension().is_some_and(|e| e == "wasm")
                && file.file_stem().is_some_and(|s| s.to_string_lossy().replace('-', "_") == name)
        })
        .cloned()
}

fn no_module(package: &str) -> anyhow::Error {
    anyhow!("{package} made no .wasm: it needs a [[bin]] or `crate-type = [\"cdylib\", \"rlib\"]`")
}

/// Adds the wasm target to the pinned toolchain if it is missing.
pub(crate) fn add_wasm_target() -> Result<()> {
    let sysroot = run::output(run::command("rustc").args(["--print", "sysroot"]))?;
    if PathBuf::from(sysroot.trim()).join("lib/rustlib").join(WASM).exists() {
        return Ok(());
    }
    let Some(rustup) = run::find(&["rustup"]) else {
        bail!("this Rust has no target {WASM}, and there is no rustup to add it");
    };
    run::step("Adding", &format!("the target {WASM}"));
    run::run(run::command(rustup).args(["target", "add", WASM]))
}
