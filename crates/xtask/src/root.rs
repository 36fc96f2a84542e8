//! Where things are.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The top of the repository.
pub(crate) fn dir() -> &'static Path {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        // Cargo sets the variable when it runs us; started by hand, we know where we were built.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        xtask.ancestors().nth(2).unwrap_or(&xtask).to_path_buf()
    });
    &DIR
}

/// A path inside the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    dir().join(relative)
}

/// What is made here, apart from what cargo makes: the site, protoc, tools, stamps and logs.
///
/// Always inside the repository: `.cargo/config.toml` names protoc there.
pub(crate) fn target() -> PathBuf {
    path("target")
}
