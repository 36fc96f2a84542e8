//! The protoc that raft's build script needs.
//!
//! A crate brings one for Linux and macOS on both processors. Its path changes with its version,
//! and `.cargo/config.toml` can name only a fixed one, so every start of xtask copies it there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

/// Puts protoc at `target/protoc/bin/protoc` and its include files at `target/protoc/include`.
///
/// A file that is there already and equal is left alone, so that cargo sees no change. A new one is
/// written beside its place and renamed: a build that runs meanwhile never sees half of it.
pub(crate) fn install(root: &Path) -> Result<()> {
    let protoc = protoc_bin_vendored::protoc_bin_path()
        .map_err(|e| anyhow!("no protoc is known for this kind of machine: {e}"))?;
    let include = protoc_bin_vendored::include_path()
        .map_err(|e| anyhow!("no protobuf include files: {e}"))?;
    let home = root.join("target/protoc");
    copy_file(&protoc, &home.join("bin/protoc"), 0o755)?;
    copy_dir(&include, &home.join("include"))
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target, 0o644)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let wanted = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let dir = to.parent().unwrap_or(to);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let fresh = dir.join(format!(".{name}.{}", std::process::id()));
    fs::write(&fresh, wanted).with_context(|| format!("cannot write {}", fresh.display()))?;
    // The mode first: whoever finds the final name must be able to run it.
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot write {}", to.display()))
}
