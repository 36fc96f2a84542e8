//! Where things are.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The top of the repository.
pub(crate) fn dir() -> &'static Path {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        // Cargo sets the variable when it runs us; a binary started by hand knows where it was built.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        xtask.ancestors().nth(2).unwrap_or(&xtask).to_path_buf()
    });
    &DIR
}
