//! What `vopr` prints, and how it ends: scripts and people go by both.

use std::process::{Command, Output};

fn vopr(words: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, .. } =
        Command::new(env!("CARGO_BIN_EXE_vopr")).args(words).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn a_life_that_ends_well() {
    let (code, told) = vopr(&["one", "0"]);
    assert_eq!(code, Some(0));
    assert!(told.starts_with("seed 0: Plan {") && told.contains("trace hash "), "{told}");
    assert!(!told.contains("FAILED"), "{told}");
}

/// One that breaks a promise says which, what came before, and how to see it again.
#[test]
fn a_life_that_ends_badly() {
    let of_a_broken_build = |seed: u64| {
        let (code, told) = vopr(&["one", &seed.to_string(), "of", "a reply before the commit"]);
        (code != Some(0)).then_some((seed, code, told))
    };
    let (seed, code, told) = (0..20).find_map(of_a_broken_build).expect("it is noticed");
    assert_eq!(code, Some(129));
    let end = format!("FAILED seed {seed}: safety, strict_serializability: ");
    let (account, end) = told.split_once(&end).expect("it says what was broken");
    let lines = account.lines().filter(|line| line.contains(" leads t")).count();
    assert!(lines > 0, "nothing is told of the life:\n{account}");
    assert!(end.ends_with(&format!("replay with: cargo xtask vopr {seed}\n")), "{end}");
}

#[test]
fn words_that_mean_nothing() {
    assert_eq!(vopr(&["one", "0", "of", "nothing"]).0, Some(1));
    assert_eq!(vopr(&["lives"]).0, Some(1));
}
