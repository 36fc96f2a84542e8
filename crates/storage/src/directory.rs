//! What a host has to bring: one directory of files.

use crate::file::{File, FileError};

/// A member's directory, which nobody else has open.
pub trait Directory {
    /// Its files.
    type File: File + std::fmt::Debug;

    /// The names of the files that are there, in any order.
    ///
    /// # Errors
    /// If the system refuses.
    fn names(&self) -> Result<Vec<String>, FileError>;

    /// Opens the file of this name, and makes it if it is missing; once this has returned one,
    /// its name is safe. A file is opened once at a time.
    ///
    /// `None` from a host that cannot open files at once: it is at work on it, and can be asked
    /// again later. A file that was there when the host was started is there at once.
    ///
    /// # Errors
    /// If the system refuses.
    fn open(&self, name: &str) -> Result<Option<Self::File>, FileError>;

    /// Removes a file. It may be back after a crash, as it was.
    ///
    /// # Errors
    /// If the system refuses.
    fn remove(&self, name: &str) -> Result<(), FileError>;
}

impl<D: Directory + ?Sized> Directory for std::sync::Arc<D> {
    type File = D::File;

    fn names(&self) -> Result<Vec<String>, FileError> {
        (**self).names()
    }

    fn open(&self, name: &str) -> Result<Option<Self::File>, FileError> {
        (**self).open(name)
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        (**self).remove(name)
    }
}

/// The files of one kind, `KIND-00000001` and so on: their numbers, in order.
///
/// # Errors
/// If the system refuses.
pub(crate) fn numbered(directory: &impl Directory, kind: &str) -> Result<Vec<u64>, FileError> {
    let number = |name: &String| {
        let digits = name.strip_prefix(kind)?.strip_prefix('-')?;
        let number = digits.parse().ok()?;
        // What is spelled otherwise is none of ours.
        (name_of(kind, number) == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = directory.names()?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The name of a file of one kind.
pub(crate) fn name_of(kind: &str, number: u64) -> String {
    format!("{kind}-{number:08}")
}
