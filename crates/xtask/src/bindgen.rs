//! From the wasm that rustc makes to the pair `NAME.js`, `NAME_bg.wasm` that a page loads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::digest::Digest;
use crate::{root, run};

/// The version of wasm-bindgen; the module's own crate must be of the same.
pub(crate) const VERSION: &str = "0.2.130";

/// Writes the pair for `name` and returns the directory that holds it and nothing else.
///
/// Reading a module takes seconds, so it is skipped when neither the module nor an option changed.
pub(crate) fn generate(name: &str, wasm: &Path, debug: bool) -> Result<PathBuf> {
    let out = root::target().join("wasm-bindgen").join(name);
    let stamp = root::target().join("wasm-bindgen").join(format!("{name}.input"));
    let bytes = fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let input = Digest::default().add(&format!("{VERSION} debug={debug}"), &bytes).hex();
    let whole = out.join(format!("{name}_bg.wasm")).exists();
    if whole && fs::read_to_string(&stamp).is_ok_and(|last| last == input) {
        return Ok(out);
    }
    run::step("Binding", name);
    // An interrupted run must not leave a stamp that vouches for half of an output.
    remove_file(&stamp)?;
    remove_dir(&out)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name(name).typescript(false).debug(debug).keep_debug(debug);
    bindgen.remove_producers_section(true).remove_name_section(!debug);
    bindgen.web(true)?.generate(&out).with_context(|| format!("wasm-bindgen fails on {name}"))?;
    fs::write(&stamp, input)?;
    Ok(out)
}

fn remove_file(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Removes a directory if it is there.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::VERSION;

    /// The versions of a package in the lock file.
    fn locked(name: &str) -> Vec<String> {
        let lock = std::fs::read_to_string(crate::root::path("Cargo.lock")).unwrap();
        let head = format!("name = \"{name}\"");
        let mut lines = lock.lines();
        let mut versions = Vec::new();
        while let Some(line) = lines.next() {
            if line == head {
                let version = lines.next().unwrap();
                versions.push(version.trim_start_matches("version = ").trim_matches('"').into());
            }
        }
        versions
    }

    #[test]
    fn all_of_wasm_bindgen_is_of_one_version() {
        for name in ["wasm-bindgen", "wasm-bindgen-cli-support", "wasm-bindgen-cli"] {
            assert_eq!(locked(name), [VERSION], "{name} in Cargo.lock");
        }
    }
}
