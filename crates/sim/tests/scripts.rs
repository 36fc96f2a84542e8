//! Runs `scripts/*.txt`. `UPDATE_GOLDENFILES=1` writes them anew.

use std::{env, fs};

use kvorum_sim::script;

#[test]
fn scripts_print_what_they_say() {
    let only = env::var("SCRIPT").ok();
    let mut wrong = Vec::new();
    for (name, text) in script::ALL {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let output = script::run(text);
        if env::var_os("UPDATE_GOLDENFILES").is_some() {
            let path = format!("{}/scripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
            fs::write(path, &output).unwrap();
        } else if *text != output {
            println!("=== {name} prints\n{output}");
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "scripts whose output changed: {wrong:?}");
}

/// A script that is not in the list would never run.
#[test]
fn every_script_is_in_the_list() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".txt").unwrap();
        assert!(script::ALL.iter().any(|(listed, _)| *listed == name), "{name} is not listed");
    }
}
