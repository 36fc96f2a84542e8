//! Runs `tests/scripts/*.txt`. `UPDATE_GOLDENFILES=1` writes them anew.

use std::{env, fs};

#[test]
fn scripts_print_what_they_say() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {dir}");
    for path in paths {
        let script = fs::read_to_string(&path).unwrap();
        let output = kvorum_client::testing::run(&script);
        if env::var_os("UPDATE_GOLDENFILES").is_some() {
            fs::write(&path, output).unwrap();
        } else {
            assert_eq!(script, output, "{}", path.display());
        }
    }
}
