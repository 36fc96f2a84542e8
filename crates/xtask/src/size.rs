//! What a first load costs, compressed as a server sends it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::run;

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
pub(crate) fn measure<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Sizes> {
    let mut sizes = Sizes { node: 0, load: 0, wasm: Vec::new() };
    for (name, bytes) in files {
        let size = gzipped(bytes)?;
        sizes.load += size;
        if name == NODE_WASM {
            sizes.node = size;
        }
        if Path::new(name).extension().is_some_and(|e| e == "wasm") {
            sizes.wasm.push((name.to_owned(), size));
        }
    }
    Ok(sizes)
}

/// Measures a site on disk.
pub(crate) fn measure_dir(site: &Path) -> Result<Sizes> {
    let files = crate::site::files(site)?;
    let mut read = Vec::new();
    for name in files {
        let bytes = fs::read(site.join(&name))?;
        read.push((name, bytes));
    }
    measure(read.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
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

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

fn of(budget: usize) -> String {
    format!(" (budget {})", kb(budget))
}

fn kb(bytes: usize) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::{NODE_MAX, NODE_WASM, measure};

    #[test]
    fn budgets_bite() {
        let small = [0u8; 100];
        assert!(measure([(NODE_WASM, &small[..])].into_iter()).unwrap().check().is_ok());
        // Bytes that do not compress: each is the top byte of a linear congruential generator.
        let mut state = 1u64;
        let noise: Vec<u8> = (0..NODE_MAX + 10)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        let large = measure([(NODE_WASM, &noise[..])].into_iter()).unwrap();
        assert!(large.check().unwrap_err().to_string().contains("400.0 KB"));
    }
}
