//! What a first load costs, compressed as a server sends it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::run;
use crate::site::File;

/// The most that the node's module may weigh, in bytes after gzip.
const NODE_MAX: usize = 400_000;
/// The most that everything of a first load may weigh together, in bytes after gzip.
const LOAD_MAX: usize = 800_000;

/// The node's module in the site.
pub(crate) const NODE_WASM: &str = "kvorum_worker_bg.wasm";

/// Sizes after gzip.
pub(crate) struct Sizes {
    /// The node's module.
    node: usize,
    /// Every file of the site.
    load: usize,
    /// Each wasm, by name.
    wasm: Vec<(String, usize)>,
}

/// Measures a site's files.
pub(crate) fn measure<'a>(files: impl Iterator<Item = (&'a str, &'a File)>) -> Sizes {
    let mut sizes = Sizes { node: 0, load: 0, wasm: Vec::new() };
    for (name, file) in files {
        let size = file.sent().len();
        sizes.load += size;
        if name == NODE_WASM {
            sizes.node = size;
        }
        if Path::new(name).extension().is_some_and(|e| e == "wasm") {
            sizes.wasm.push((name.to_owned(), size));
        }
    }
    sizes
}

impl Sizes {
    /// Prints each wasm and the whole beside their budgets.
    pub(crate) fn print(&self) {
        for (name, size) in &self.wasm {
            let budget = if name == NODE_WASM { of(NODE_MAX) } else { String::new() };
            run::step("Size", &format!("{name}: {} gzipped{budget}", kb(*size)));
        }
        let budget = of(LOAD_MAX);
        run::step("Size", &format!("first load: {} gzipped{budget}", kb(self.load)));
    }

    /// Fails when a budget is exceeded.
    pub(crate) fn check(&self) -> Result<()> {
        for (what, size, max) in
            [("the node's wasm", self.node, NODE_MAX), ("the first load", self.load, LOAD_MAX)]
        {
            if size > max {
                bail!("{what} is {} gzipped, over its budget of {}", kb(size), kb(max));
            }
        }
        Ok(())
    }
}

fn of(budget: usize) -> String {
    format!(" (budget {})", kb(budget))
}

fn kb(bytes: usize) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::{LOAD_MAX, NODE_MAX, NODE_WASM, measure};
    use crate::site::File;

    #[test]
    fn budgets_bite() {
        let check = |name, bytes| {
            let file = File { bytes: vec![0; bytes], packed: None };
            measure([(name, &file)].into_iter()).check()
        };
        assert!(check(NODE_WASM, NODE_MAX).is_ok());
        let large = check(NODE_WASM, NODE_MAX + 1);
        assert!(large.unwrap_err().to_string().contains("400.0 KB"));
        assert!(check("other.wasm", LOAD_MAX).is_ok());
        assert!(check("other.wasm", LOAD_MAX + 1).is_err());
    }
}
