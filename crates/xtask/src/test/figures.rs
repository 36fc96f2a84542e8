//! `cargo xtask figures`: what members in JavaScript take, as tables for docs/figures.md.

use std::process::ExitCode;

use anyhow::Result;

use super::prepare;
use super::steps::{IN_BROWSERS, logged, node_tests, test_files};
use crate::root;

/// Measures and prints.
pub(crate) fn figures() -> Result<ExitCode> {
    let prepared = prepare(IN_BROWSERS);
    prepared.complete()?;
    let files = test_files(&root::path("tests/figures"))?;
    let (tables, result) = logged("figures", &mut node_tests(&prepared, &files), tables);
    result?;
    print!("{tables}");
    Ok(ExitCode::SUCCESS)
}

/// The lines of tables. Node's runner puts `# ` before what a test prints, and `\` before a sign
/// that means something to it.
fn tables(log: &str) -> String {
    let lines = log.lines().filter_map(|line| line.strip_prefix("# "));
    let lines = lines.map(|line| line.replace('\\', "")).filter(|line| line.starts_with('|'));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn tables_are_what_a_test_printed() {
        let log =
            "TAP version 13\n# | a | b |\n# | --- | --- |\n# Subtest: c\nok 1 - c\n# pass 1\n";
        assert_eq!(tables(log), "| a | b |\n| --- | --- |\n");
    }
}
