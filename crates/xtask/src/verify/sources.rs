//! The core reads no clock, starts no thread, opens no file and knows no platform.

use std::fs;

use anyhow::Result;

use super::{edges, lines, none};
use crate::root;

/// Words that a core crate's source does not hold.
const BANNED: &[&str] = &[
    "cfg(target_arch",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "std::thread",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "async fn",
    "async move",
    "thread_rng",
    "OsRng",
    "HashMap",
    "HashSet",
    "wasm_bindgen",
    "web_sys",
];

/// The one place that reaches the operating system's files, behind a feature of its own.
const FILES: &str = "crates/storage/src/std_fs.rs";

/// Checks the sources of the core, without their tests.
pub(super) fn check() -> Result<()> {
    let core: Vec<String> = edges::core().map(|name| format!("crates/{name}/src/")).collect();
    let mut findings = Vec::new();
    for path in lines::files()? {
        let inside = core.iter().any(|dir| path.starts_with(dir)) && path.ends_with(".rs");
        if inside && path != FILES {
            // A file that someone has just removed is still on git's list.
            if let Ok(text) = fs::read_to_string(root::path(&path)) {
                findings.extend(findings_in(&path, &text));
            }
        }
    }
    none(findings)
}

fn findings_in(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // By our custom a module's tests are the last thing in its file.
        if line.trim_start().starts_with("#[cfg(test)]") && !line.contains(';') {
            break;
        }
        // Prose may speak of what the code must not do.
        let code = line.split("//").next().unwrap_or_default();
        for banned in BANNED.iter().filter(|banned| code.contains(**banned)) {
            findings.push(format!("{path}:{number}: `{banned}` in the core"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{BANNED, findings_in};

    #[test]
    fn every_banned_word_is_found_in_code_and_only_there() {
        for banned in BANNED {
            assert_eq!(findings_in("a.rs", &format!("let x = {banned};")).len().min(1), 1);
            assert!(findings_in("a.rs", &format!("// {banned}")).is_empty());
            assert!(findings_in("a.rs", &format!("#[cfg(test)]\nmod t {{ {banned} }}")).is_empty());
        }
    }
}
