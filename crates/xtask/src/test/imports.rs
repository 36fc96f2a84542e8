//! What the node's wasm asks of its host, against the list of what it may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasmparser::{Parser, Payload};

use crate::{root, size};

/// The list: a name and its reason on each line; lines that start with `#` are prose.
const LIST: &str = "worker/imports.txt";

/// Fails when the module's imports and the list differ.
pub(crate) fn check(site: &Path) -> Result<()> {
    let wasm = site.join(size::NODE_WASM);
    let module = fs::read(&wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let list =
        fs::read_to_string(root::path(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    compare(&imports(&module)?, &reasons(&list)?)
}

fn compare(module: &BTreeSet<String>, list: &BTreeMap<String, String>) -> Result<()> {
    let listed: BTreeSet<String> = list.keys().cloned().collect();
    let new: Vec<_> = module.difference(&listed).cloned().collect();
    let gone: Vec<_> = listed.difference(module).cloned().collect();
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    bail!(
        "the imports of {} differ from {LIST}\n  \
         in the module, without a reason in the list: {}\n  \
         in the list, no longer in the module: {}",
        size::NODE_WASM,
        shown(&new),
        shown(&gone)
    )
}

fn shown(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { format!("\n    {}", names.join("\n    ")) }
}

/// The names in the list with their reasons.
fn reasons(list: &str) -> Result<BTreeMap<String, String>> {
    let mut reasons = BTreeMap::new();
    for line in list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (name, reason) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if reason.trim().is_empty() {
            bail!("{LIST}: {name} has no reason");
        }
        if reasons.insert(name.to_owned(), reason.trim().to_owned()).is_some() {
            bail!("{LIST}: {name} is there twice");
        }
    }
    Ok(reasons)
}

/// The names that a module imports, without wasm-bindgen's hashes.
fn imports(module: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload.context("not a wasm module")? {
            for import in section.into_imports() {
                names.insert(without_hash(import?.name).to_owned());
            }
        }
    }
    Ok(names)
}

/// `__wbg_send_0123456789abcdef` is `__wbg_send`: the hash changes with every version.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((head, tail)) if tail.len() == 16 && tail.bytes().all(|b| b.is_ascii_hexdigit()) => {
            head
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, imports, reasons, without_hash};

    /// `(module (import "m" "f_0123456789abcdef" (func)))`
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\
        \x02\x18\x01\x01m\x12f_0123456789abcdef\0\0";

    #[test]
    fn a_module_is_compared_with_its_list() {
        let module = imports(MODULE).unwrap();
        compare(&module, &reasons("# why\nf  to be called\n").unwrap()).unwrap();
        let new = compare(&module, &reasons("").unwrap()).unwrap_err().to_string();
        assert!(new.contains("\n    f"), "{new}");
        assert!(compare(&module, &reasons("f why\ng why").unwrap()).is_err());
    }

    #[test]
    fn every_import_needs_one_reason() {
        assert!(reasons("f").is_err());
        assert!(reasons("f a\nf b").is_err());
    }

    #[test]
    fn only_hashes_are_cut() {
        assert_eq!(without_hash("__wbg_send_0123456789abcdef"), "__wbg_send");
        assert_eq!(
            without_hash("__wbindgen_init_externref_table"),
            "__wbindgen_init_externref_table"
        );
    }
}
