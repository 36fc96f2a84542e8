//! Runs the golden scripts and holds each against its own output.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p kvorum-mvcc` writes what comes out; read the difference.

use std::path::Path;

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut scripts: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some();
    let mut failed = Vec::new();
    for path in scripts {
        let script = std::fs::read_to_string(&path).unwrap();
        let output = kvorum_mvcc::testing::run(&script);
        if output == script {
            continue;
        }
        if update && output.contains("---") {
            std::fs::write(&path, &output).unwrap();
        } else {
            let at = script.lines().zip(output.lines()).position(|(a, b)| a != b);
            let at = at.unwrap_or(script.lines().count().min(output.lines().count()));
            let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
            failed.push(format!(
                "{}:{}\n  script: {}\n  output: {}",
                path.display(),
                at + 1,
                line(&script),
                line(&output),
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
