//! What a log says of the tests that failed, so that nobody has to open it.
//!
//! ```text
//! cargo    ---- NAME stdout ----      Node    # what it printed
//!          what it printed                    not ok 3 - NAME
//!          …                                    what went wrong
//!          failures:                            ...
//! ```

/// So many lines of one test are quoted, half of them its first.
const TEST_LINES: usize = 40;

/// So many of a log that names no test, its last.
const TAIL_LINES: usize = 80;

/// A test that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What the log says of it.
    lines: Vec<&'a str>,
}

/// Every test that a log says has failed.
pub(crate) fn failed(log: &str) -> Vec<Failed<'_>> {
    let mut failed: Vec<Failed<'_>> = Vec::new();
    // What stands before a line `not ok` belongs to that test.
    let mut before = Vec::new();
    // The last one found goes on.
    let mut open = false;
    for line in log.lines() {
        let cargo = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"));
        let node = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(" - "));
        if let Some(name) = cargo.and_then(|words| words.rsplit_once(' ')).map(|(name, _)| name) {
            failed.push(Failed { name, lines: Vec::new() });
            open = true;
        } else if let Some((_, name)) = node {
            failed.push(Failed { name, lines: std::mem::take(&mut before) });
            open = true;
        } else if line == "failures:" || line == "  ..." {
            before.clear();
            open = false;
        } else if let (true, Some(last)) = (open, failed.last_mut()) {
            last.lines.push(line);
        } else {
            before.push(line);
        }
    }
    failed
}

/// The part of a log that says what went wrong.
pub(crate) fn quote(log: &str) -> String {
    let failed = failed(log);
    if failed.is_empty() {
        let lines: Vec<&str> = log.lines().collect();
        return quoted(&lines[lines.len().saturating_sub(TAIL_LINES)..]);
    }
    let tests = failed.iter().map(|test| format!("  {}\n{}", test.name, middle_out(&test.lines)));
    tests.collect::<Vec<_>>().join("\n")
}

/// The first and the last lines.
fn middle_out(lines: &[&str]) -> String {
    if lines.len() <= TEST_LINES {
        return quoted(lines);
    }
    let half = TEST_LINES / 2;
    let left_out = format!("… {} lines …", lines.len() - TEST_LINES);
    quoted(&[&lines[..half], &[&left_out], &lines[lines.len() - half..]].concat())
}

fn quoted(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{TEST_LINES, failed, quote};

    #[test]
    fn cargo_names_what_failed_and_why() {
        let log = "test a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n---- b::c stdout ----\n\
            one is not two\n\n\nfailures:\n    b::c\n\ntest result: FAILED. 1 passed; 1 failed\n\
            Doc-tests a\n";
        assert_eq!(failed(log).iter().map(|test| test.name).collect::<Vec<_>>(), ["b::c"]);
        let quote = quote(log);
        assert!(quote.contains("| one is not two") && !quote.contains("Doc-tests"), "{quote}");
    }

    #[test]
    fn node_names_what_failed_and_what_it_printed() {
        let log = "TAP version 13\n# fine\nok 1 - a\n  ---\n  ...\n# 130 ms\n# Subtest: b\n\
            not ok 2 - b - c\n  ---\n  error: 'slow'\n  ...\n# tests 2\n";
        assert_eq!(failed(log)[0].name, "b - c");
        let quote = quote(log);
        assert!(quote.contains("| # 130 ms") && quote.contains("error: 'slow'"), "{quote}");
        assert!(!quote.contains("fine") && !quote.contains("# tests"), "{quote}");
    }

    #[test]
    fn what_is_long_is_cut() {
        let lines = |name| (0..200).map(|n| format!("{name} {n}\n")).collect::<String>();
        let tail = quote(&lines("line"));
        assert!(tail.contains("line 199") && !tail.contains("line 100\n"));
        let test = quote(&format!("---- a stdout ----\n{}", lines("line")));
        assert_eq!(test.lines().count(), TEST_LINES + 2);
        assert!(test.contains("line 0\n") && test.contains("… 160 lines …"));
        assert!(test.ends_with("line 199"));
    }
}
