//! `kvorum`, the native program, on files of the operating system.

use std::process::ExitCode;
use std::sync::Arc;

use storage::std_fs::StdDirectory;

fn main() -> ExitCode {
    kvorum::run(|path| StdDirectory::open(path).map(Arc::new))
}
