//! A directory and files of the operating system.

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::directory::Directory;
use crate::file::{File, FileError, FileErrorKind};

/// The file whose lock is the directory's.
const LOCK: &str = "lock";

/// A directory of the operating system, locked: two processes cannot have it open at once.
#[derive(Debug)]
pub struct StdDirectory {
    path: PathBuf,
    _lock: fs::File,
}

impl StdDirectory {
    /// Opens the directory at `path`, which has to be there.
    ///
    /// # Errors
    /// If the system refuses, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref().to_path_buf();
        let lock = path.join(LOCK);
        let refused = |error: io::Error| explain(&lock, "cannot be opened", &error);
        let file = open_file(&lock).map_err(refused)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                FileError::other(format!("{} is in use by another process", path.display()))
            }
            TryLockError::Error(error) => refused(error),
        })?;
        Ok(Self { path, _lock: file })
    }
}

impl Directory for StdDirectory {
    type File = StdFile;

    fn names(&self) -> Result<Vec<String>, FileError> {
        let refused = |error: io::Error| explain(&self.path, "cannot be listed", &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(refused)? {
            // A name that is no text is none of ours.
            names.extend(entry.map_err(refused)?.file_name().into_string().ok());
        }
        names.retain(|name| name != LOCK);
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Option<StdFile>, FileError> {
        StdFile::open(self.path.join(name)).map(Some)
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(explain(&path, "cannot be removed", &error))
            }
            _ => Ok(()),
        }
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub struct StdFile {
    file: fs::File,
    path: PathBuf,
}

fn open_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

impl StdFile {
    /// Opens the file at `path`, which is made if it is missing. Its directory has to be
    /// there.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref().to_path_buf();
        let refused = |error: io::Error| explain(&path, "cannot be opened", &error);
        let fresh = !path.try_exists().map_err(refused)?;
        let file = open_file(&path).map_err(refused)?;
        if fresh {
            sync_directory(&path).map_err(refused)?;
        }
        Ok(Self { file, path })
    }

    fn explain(&self, what: &str, error: &io::Error) -> FileError {
        explain(&self.path, what, error)
    }
}

/// A new file's name is in its directory, and that is synced by itself.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Of a file that only says that it is longer the disk may turn out to be full at any write.
fn grow(file: &fs::File, length: u64) -> io::Result<()> {
    match fs4::FileExt::allocate(file, length) {
        Err(error) if error.kind() == ErrorKind::Unsupported => file.set_len(length),
        grown => grown,
    }
}

fn explain(path: &Path, what: &str, error: &io::Error) -> FileError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileErrorKind::NoSpace,
        _ => FileErrorKind::Other,
    };
    let advice = match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "; the user that runs this must be able to write there"
        }
        _ => "",
    };
    FileError { kind, text: format!("{} {what}: {error}{advice}", path.display()) }
}

impl File for StdFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        loop {
            match self.file.read_at(into, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.explain("cannot be read", &error)),
            }
        }
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|error| self.explain("cannot be written", &error))
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        let resized = match length > self.len()? {
            true => grow(&self.file, length),
            false => self.file.set_len(length),
        };
        resized.map_err(|error| self.explain("cannot be resized", &error))
    }

    fn len(&self) -> Result<u64, FileError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|error| self.explain("cannot be measured", &error))?.len())
    }

    fn sync(&self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|error| self.explain("cannot be synced", &error))
    }
}
