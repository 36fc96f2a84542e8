//! How many tests ran, read from what their runners print.

use std::ops::AddAssign;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that ran and were content.
    pub(crate) passed: u64,
    /// Tests that ran and were not, and steps that could not run.
    pub(crate) failed: u64,
}

impl Counts {
    /// One check that is no suite of tests.
    pub(crate) const ONE: Self = Self { passed: 1, failed: 0 };

    /// From the lines `test result: ok. 3 passed; 0 failed; …` of cargo's runners.
    pub(crate) fn of_cargo(log: &str) -> Self {
        let mut counts = Self::default();
        for line in log.lines().filter(|line| line.trim_start().starts_with("test result:")) {
            counts.passed += before(line, " passed");
            counts.failed += before(line, " failed");
        }
        counts
    }

    /// From the lines `# pass 3`, `# fail 0` and `# cancelled 0` that close Node's TAP.
    pub(crate) fn of_node(log: &str) -> Self {
        let after = |head: &str| -> u64 {
            log.lines().filter_map(|line| line.strip_prefix(head)?.trim().parse::<u64>().ok()).sum()
        };
        Self { passed: after("# pass "), failed: after("# fail ") + after("# cancelled ") }
    }
}

/// Inputs, from the fuzzer's line `fuzz NAME: N inputs, …`. Of a target that failed there is none.
pub(crate) fn fuzzed(log: &str) -> u64 {
    let line = log.lines().find(|line| line.starts_with("fuzz "));
    line.map_or(0, |line| before(line, " inputs"))
}

/// The number that stands before a word.
fn before(line: &str, word: &str) -> u64 {
    let head = line.split(word).next().unwrap_or_default();
    head.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, fuzzed};

    #[test]
    fn cargo_lines_add_up() {
        let log = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored\n\
            a test printed: 5 passed\n";
        assert_eq!(Counts::of_cargo(log), Counts { passed: 13, failed: 2 });
    }

    #[test]
    fn inputs_are_counted() {
        let log = "running 1 test\nfuzz wal: 1234 inputs, 40 outcomes, seed 7\ntest wal ... ok\n";
        assert_eq!((fuzzed(log), fuzzed("wal: it panicked: see above")), (1234, 0));
    }

    #[test]
    fn node_lines_add_up() {
        let log = "ok 1 - a\n# tests 5\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 0\n";
        assert_eq!(Counts::of_node(log), Counts { passed: 3, failed: 2 });
    }
}
