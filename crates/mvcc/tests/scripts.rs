//! Runs the golden scripts and holds each against its own output.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p kvorum-mvcc` writes what comes out; read the difference.

use std::path::PathBuf;

use kvorum_mvcc::testing::{SCRIPTS, run};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

#[test]
fn every_script_is_built_in() {
    let mut names: Vec<_> = folder()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let built_in: Vec<_> = SCRIPTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, built_in);
}

#[test]
fn golden_scripts() {
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some();
    let mut failed = Vec::new();
    for (name, script) in SCRIPTS {
        let output = run(script);
        if output == *script {
            continue;
        }
        // A script that cannot be run has one line of output: what is wrong with it.
        if update && output.contains("---") {
            std::fs::write(folder().join(name).with_extension("txt"), &output).unwrap();
        } else {
            failed.push(difference(name, script, &output));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// The first line that differs.
fn difference(name: &str, script: &str, output: &str) -> String {
    let same = script.lines().zip(output.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    let at = same + 1;
    format!("{name}.txt:{at}\n  script: {}\n  output: {}", line(script), line(output))
}
