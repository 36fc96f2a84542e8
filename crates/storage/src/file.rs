//! What a host has to bring: one file.

use std::fmt;

use thiserror::Error;

/// A named file, open for reading and writing, that nobody else has open.
///
/// Every method takes `&self`: a file is a handle, as the ones of the systems below are.
pub trait File {
    /// Reads from `at` into `into`, and answers how many bytes it read. Fewer than asked for
    /// are fine; none means that the file ends there.
    ///
    /// # Errors
    /// If the system refuses.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError>;

    /// Writes all of `bytes` at `at`. The file grows if they reach beyond its end. Nothing is
    /// promised about a crash before the next [`sync`](Self::sync): all, some or none of it
    /// may be there.
    ///
    /// # Errors
    /// If the system refuses. Any part of the bytes may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError>;

    /// Cuts the file, or grows it with zeros.
    ///
    /// # Errors
    /// If the system refuses.
    fn set_len(&self, length: u64) -> Result<(), FileError>;

    /// How long the file is.
    ///
    /// # Errors
    /// If the system refuses.
    fn len(&self) -> Result<u64, FileError>;

    /// Whether it holds no byte at all.
    ///
    /// # Errors
    /// If the system refuses.
    fn is_empty(&self) -> Result<bool, FileError> {
        Ok(self.len()? == 0)
    }

    /// Comes back when all that was written is safe, length included.
    ///
    /// # Errors
    /// If the system refuses. What was written since the last sync is then lost for good as
    /// far as anyone can know: a second sync that succeeds proves nothing.
    fn sync(&self) -> Result<(), FileError>;
}

/// A host that knows only at its start which kind of file it has.
impl<F: File + ?Sized> File for Box<F> {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        (**self).read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        (**self).write_at(at, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        (**self).set_len(length)
    }

    fn len(&self) -> Result<u64, FileError> {
        (**self).len()
    }

    fn sync(&self) -> Result<(), FileError> {
        (**self).sync()
    }
}

/// What a file's owner can react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileErrorKind {
    /// No room on the disk, or in the browser's quota.
    NoSpace,
    /// Anything else.
    Other,
}

/// Why the system below refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct FileError {
    /// What can be reacted to.
    pub kind: FileErrorKind,
    /// What the system says, for people.
    pub text: String,
}

impl FileError {
    /// Anything but a lack of space.
    #[must_use]
    pub fn other(text: impl Into<String>) -> Self {
        Self { kind: FileErrorKind::Other, text: text.into() }
    }

    /// A lack of space.
    #[must_use]
    pub fn no_space(text: impl Into<String>) -> Self {
        Self { kind: FileErrorKind::NoSpace, text: text.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FileErrorKind::NoSpace => write!(f, "no space left: {}", self.text),
            FileErrorKind::Other => f.write_str(&self.text),
        }
    }
}

/// Fills `into` from `at`.
pub(crate) fn read_exact(file: &impl File, at: u64, into: &mut [u8]) -> Result<(), FileError> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(at + done as u64, &mut into[done..])? {
            0 => return Err(FileError::other(format!("the file ended at byte {at} + {done}"))),
            read => done += read,
        }
    }
    Ok(())
}

/// Zeros that are written at once.
const ZEROS_BYTES: u64 = 64 * 1024;

/// Writes zeros from `from` to `to`.
pub(crate) fn write_zeros(file: &impl File, from: u64, to: u64) -> Result<(), FileError> {
    let zeros = vec![0; to.saturating_sub(from).min(ZEROS_BYTES) as usize];
    let mut at = from;
    while at < to {
        let count = (to - at).min(ZEROS_BYTES);
        file.write_at(at, &zeros[..count as usize])?;
        at += count;
    }
    Ok(())
}
