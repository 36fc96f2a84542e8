//! The map in ARCHITECTURE.md names every crate that is there, and none that is not.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::Metadata;

use super::none;
use crate::root;

/// Compares the map with the workspace.
pub(super) fn check(metadata: &Metadata) -> Result<()> {
    let map = fs::read_to_string(root::path("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let crates = metadata
        .workspace_packages()
        .into_iter()
        .filter_map(|package| {
            let dir = package.manifest_path.parent()?;
            Some(dir.strip_prefix(root::dir()).ok()?.to_string())
        })
        .collect();
    none(findings(&map, &crates))
}

fn findings(map: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let named = named(map);
    let missing = crates
        .iter()
        .filter(|dir| !named.contains(*dir))
        .map(|dir| format!("ARCHITECTURE.md does not name `{dir}`"));
    let gone = named
        .iter()
        .filter(|dir| dir.starts_with("crates/") && !crates.contains(*dir))
        .map(|dir| format!("ARCHITECTURE.md names `{dir}`, which is no crate"));
    missing.chain(gone).collect()
}

/// Every `crates/NAME` in the text, and `web` and `worker` where they stand as directories.
fn named(map: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for after in map.split("crates/").skip(1) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let name = &after[..end.unwrap_or(after.len())];
        if !name.is_empty() {
            named.insert(format!("crates/{name}"));
        }
    }
    for top in ["web", "worker"] {
        if [format!("`{top}`"), format!("`{top}/")].iter().any(|form| map.contains(form)) {
            named.insert(top.to_owned());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::{findings, named};

    #[test]
    fn missing_and_gone_crates_are_found() {
        let crates = ["crates/api", "web"].map(String::from).into();
        let map = "| `crates/api` | data | and `web/src/main.rs`, `crates/`";
        assert!(findings(map, &crates).is_empty(), "{:?}", named(map));
        assert_eq!(findings("`crates/api`", &crates).len(), 1);
        assert_eq!(findings("`crates/api/src` `web` `crates/old`", &crates).len(), 1);
    }
}
