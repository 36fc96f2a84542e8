//! What tests need beyond Rust: found, installed where that is possible, or named with the command.
//!
//! ```text
//! Chromium, chromedriver   Debian packages, or CHROMIUM and CHROMEDRIVER
//! Node.js, npm             Debian packages (20 or newer), then `npm ci` in tests/
//! etcd, etcdctl, etcdutl   built by Go from tests/go.mod into target/etcd
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::digest::Digest;
use crate::{root, run};

/// The oldest Node.js whose test runner and globals the browser tests use.
const NODE_MIN: u32 = 20;

/// Environment variables by which tests find what was prepared.
pub(crate) type Env = Vec<(&'static str, PathBuf)>;

/// A browser and its driver.
pub(crate) fn chromium() -> Result<Env> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let packages = ["chromium", "chromium-driver"];
    let browser = find_or_install("CHROMIUM", &names, "Chromium", &packages)?;
    let driver = find_or_install("CHROMEDRIVER", &["chromedriver"], "chromedriver", &packages)?;
    Ok(vec![("CHROMIUM", browser), ("CHROMEDRIVER", driver)])
}

/// Node.js with the packages of `tests/package-lock.json`.
pub(crate) fn node() -> Result<Env> {
    let node = find_or_install("NODE", &["node", "nodejs"], "Node.js", &["nodejs", "npm"])?;
    let version = run::ask(&node, &["--version"]).unwrap_or_default();
    if major(&version).is_none_or(|major| major < NODE_MIN) {
        bail!(
            "Node.js {NODE_MIN} or newer is needed, and {} is {version:?}; install one and put it \
             on the PATH or name it in NODE",
            node.display()
        );
    }
    let npm = find_or_install("NPM", &["npm"], "npm", &["npm"])?;
    let tests = root::path("tests");
    let lock = fs::read(tests.join("package-lock.json")).context("tests/package-lock.json")?;
    when_changed("npm", &lock, &tests.join("node_modules/playwright-core"), || {
        run::step("Installing", "the npm packages of tests/package.json");
        let args = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
        run::run(run::command(&npm).args(args).current_dir(&tests))
    })?;
    Ok(vec![("NODE", node)])
}

fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// The real etcd, its client and its tool.
pub(crate) fn etcd() -> Result<Env> {
    let go = find_or_install(
        "GO",
        &["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"],
        "Go",
        &["golang-go"],
    )?;
    let tests = root::path("tests");
    let sums = fs::read(tests.join("go.sum")).context("tests/go.sum")?;
    let module = fs::read_to_string(tests.join("go.mod")).context("tests/go.mod")?;
    require_go(&go, &module)?;
    let out = root::target().join("etcd");
    let input = [module.as_bytes(), &sums].concat();
    when_changed("etcd", &input, &out.join("etcd"), || {
        run::step("Building", "etcd, etcdctl and etcdutl with Go");
        fs::create_dir_all(&out)?;
        let mut build = run::command(&go);
        build.args(["build", "-trimpath", "-o"]).arg(&out).arg("tool").current_dir(&tests);
        // Without cgo no C compiler is needed; the toolchain that is here is the one that is used.
        build.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly");
        run::run(&mut build)?;
        fs::rename(out.join("server"), out.join("etcd")).context("Go built no etcd")
    })?;
    let names = [("ETCD", "etcd"), ("ETCDCTL", "etcdctl"), ("ETCDUTL", "etcdutl")];
    Ok(names.map(|(variable, name)| (variable, out.join(name))).into())
}

/// Says early, and in words, that a Go is too old for `tests/go.mod`.
fn require_go(go: &Path, module: &str) -> Result<()> {
    let wanted = module
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .ok_or_else(|| anyhow!("tests/go.mod names no version of Go"))?;
    let version = run::ask(go, &["env", "GOVERSION"]).unwrap_or_default();
    if numbers(version.trim_start_matches("go")) < numbers(wanted) {
        bail!(
            "Go {wanted} or newer is needed to build etcd, and {} is {version:?}; install one \
             from https://go.dev/dl/ and put it on the PATH or name it in GO",
            go.display()
        );
    }
    Ok(())
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Runs `make` unless it ran with the same input before and its output is still there.
fn when_changed(
    name: &str,
    input: &[u8],
    output: &Path,
    make: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let stamps = root::target().join("stamps");
    let stamp = stamps.join(name);
    let hash = Digest::default().add(name, input).hex();
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|last| last == hash) {
        return Ok(());
    }
    make()?;
    fs::create_dir_all(&stamps)?;
    fs::write(&stamp, hash).with_context(|| format!("cannot write {}", stamp.display()))
}

/// A program by its variable or on the PATH; else Debian's package of it; else an error that says
/// how to get it.
fn find_or_install(
    variable: &str,
    names: &[&str],
    what: &str,
    packages: &[&str],
) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{variable} names {}, which is no file", named.display());
        }
        return Ok(named);
    }
    if let Some(found) = run::find(names) {
        return Ok(found);
    }
    let packages = packages.join(" ");
    let hint = format!("{what} is needed: sudo apt-get install -y {packages}");
    if !can_install() {
        bail!(
            "{hint}\n(elsewhere than on Debian: install it and put it on the PATH or in {variable})"
        );
    }
    run::step("Installing", &packages);
    let apt = |args: &[&str]| {
        run::run(run::command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args))
    };
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages.split(' '));
    apt(&["update", "-qq"]).and_then(|()| apt(&install)).with_context(|| hint.clone())?;
    run::find(names).ok_or_else(|| anyhow!(hint))
}

/// Only root on a Debian-like system may and can.
fn can_install() -> bool {
    let root = run::ask(Path::new("id"), &["-u"]).is_some_and(|id| id == "0");
    root && run::find(&["apt-get"]).is_some()
}

/// The runner of wasm tests, built from this workspace.
pub(crate) fn wasm_runner() -> Result<Env> {
    crate::compile::add_wasm_target()?;
    let runner = crate::compile::program(
        &["--package", "xtask", "--features", "wasm-tests", "--bin", "wasm-test-runner"],
        "wasm-test-runner",
    )?;
    Ok(vec![("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner)])
}

/// Gives a command what was prepared.
pub(crate) fn give<'a>(command: &'a mut Command, env: &Env) -> &'a mut Command {
    command.envs(env.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::{major, numbers};

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.26.8") >= numbers("1.26.0"));
        assert!(numbers("1.9") < numbers("1.26.0"));
        assert!(numbers("1.26rc1") < numbers("1.26.0"));
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major(""), None);
    }
}
