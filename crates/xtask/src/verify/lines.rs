//! The shape of files: their names at the top, their length, their width, what was left in them.

use std::fs;

use anyhow::{Context, Result};

use super::none;
use crate::{root, run};

/// What may stand at the top of the repository.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "crates",
    "docs",
    "index.html",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "web",
    "worker",
];

/// The most lines of a file that is written by hand.
const LINES_MAX: usize = 1000;
/// The most columns of a line of Rust.
const COLUMNS_MAX: usize = 100;
/// Files that are written by hand.
const WRITTEN: &[&str] = &[".rs", ".js", ".mjs", ".css", ".html", ".md", ".toml"];
/// What must not be left in Rust. Put together here, so that this file does not find itself.
const LEFT: &[&str] =
    &[concat!("FIX", "ME"), concat!("XX", "X:"), concat!("todo", "!("), concat!("dbg", "!(")];

/// Checks every file that git knows or would add.
pub(super) fn check() -> Result<()> {
    let mut findings = Vec::new();
    for path in files()? {
        let top = path.split('/').next().unwrap_or_default();
        if !TOP.contains(&top) {
            findings.push(format!("{top}: not on the list of names at the top (verify/lines.rs)"));
        }
        if WRITTEN.iter().any(|end| path.ends_with(end)) {
            // A file that someone has just removed is still on git's list.
            if let Ok(text) = fs::read_to_string(root::path(&path)) {
                findings.extend(findings_in(&path, &text));
            }
        }
    }
    findings.dedup();
    none(findings)
}

/// The files of the repository, by their paths.
pub(super) fn files() -> Result<Vec<String>> {
    let mut git = run::command("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = run::output(&mut git).context("the list of files comes from git")?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn findings_in(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let count = text.lines().count();
    if count > LINES_MAX {
        findings.push(format!("{path}: {count} lines, more than {LINES_MAX}"));
    }
    if !path.ends_with(".rs") {
        return findings;
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            findings.push(format!("{path}:{number}: {columns} columns, more than {COLUMNS_MAX}"));
        }
        for left in LEFT.iter().filter(|left| line.contains(**left)) {
            findings.push(format!("{path}:{number}: `{left}` was left in"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS_MAX, LEFT, LINES_MAX, findings_in};

    #[test]
    fn limits_are_found_at_their_edge() {
        let wide = "x".repeat(COLUMNS_MAX);
        assert!(findings_in("a.rs", &wide).is_empty());
        assert_eq!(findings_in("a.rs", &format!("{wide}x")).len(), 1);
        assert!(findings_in("a.css", &"\n".repeat(LINES_MAX)).is_empty());
        assert_eq!(findings_in("a.css", &"\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn leftovers_are_found() {
        for left in LEFT {
            assert_eq!(findings_in("a.rs", &format!("    {left}x);")).len(), 1, "{left}");
        }
    }
}
