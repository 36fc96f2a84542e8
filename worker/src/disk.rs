//! Where a member keeps its data: files of its host, or memory.
//!
//! A handle of JavaScript's belongs to its thread, and files go to whoever keeps the store as
//! things that any thread may have. So the handles are in a table of this thread, and a file is
//! a number in it.

use std::cell::RefCell;

use storage::{Directory, File, FileError, MemDirectory, MemFile};
use wasm_bindgen::{JsCast, prelude::*};
use web_sys::{DomException, FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

#[wasm_bindgen]
extern "C" {
    /// A directory, as its host offers it: an object with these methods.
    #[derive(Clone)]
    pub type Files;

    /// The names of the files that are there.
    #[wasm_bindgen(method, catch)]
    fn names(this: &Files) -> Result<Vec<String>, JsValue>;

    /// A `FileSystemSyncAccessHandle`, or an object with its methods, for the file of this name,
    /// which is made if it is missing. Nothing if the file has to be opened first, which the host
    /// then does.
    #[wasm_bindgen(method, catch)]
    fn open(this: &Files, name: &str) -> Result<Option<FileSystemSyncAccessHandle>, JsValue>;

    /// Removes a file, whose handle is closed.
    #[wasm_bindgen(method, catch)]
    fn remove(this: &Files, name: &str) -> Result<(), JsValue>;
}

/// A member's directory.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Disk(Kind);

#[derive(Clone)]
enum Kind {
    /// OPFS in a browser's Worker, a directory elsewhere.
    Files(Files),
    /// Gone with the module.
    Memory(MemDirectory),
}

#[wasm_bindgen]
impl Disk {
    /// In files of the host.
    #[wasm_bindgen(js_name = onFiles)]
    pub fn on_files(files: Files) -> Self {
        Self(Kind::Files(files))
    }

    /// In memory.
    #[wasm_bindgen(js_name = inMemory)]
    pub fn in_memory() -> Self {
        Self(Kind::Memory(MemDirectory::new()))
    }
}

impl Directory for Disk {
    type File = DiskFile;

    fn names(&self) -> Result<Vec<String>, FileError> {
        match &self.0 {
            Kind::Memory(directory) => directory.names(),
            Kind::Files(files) => files.names().map_err(|error| describe(&error)),
        }
    }

    fn open(&self, name: &str) -> Result<Option<DiskFile>, FileError> {
        match &self.0 {
            Kind::Memory(directory) => Ok(directory.open(name)?.map(DiskFile::Memory)),
            Kind::Files(files) => {
                let handle = files.open(name).map_err(|error| describe(&error))?;
                Ok(handle.map(|handle| {
                    let (files, name) = (files.clone(), name.to_owned());
                    DiskFile::Handle(put(Entry { handle, files, name, removed: false }))
                }))
            }
        }
    }

    /// A file that somebody still reads goes when nobody does any more.
    fn remove(&self, name: &str) -> Result<(), FileError> {
        let files = match &self.0 {
            Kind::Memory(directory) => return directory.remove(name),
            Kind::Files(files) => files,
        };
        let open = HANDLES.with_borrow_mut(|table| {
            let entry = table.iter_mut().flatten().find(|entry| entry.name == name)?;
            entry.removed = true;
            Some(())
        });
        match open {
            Some(()) => Ok(()),
            None => files.remove(name).map_err(|error| describe(&error)),
        }
    }
}

struct Entry {
    handle: FileSystemSyncAccessHandle,
    files: Files,
    name: String,
    /// It goes when it is closed.
    removed: bool,
}

thread_local! {
    /// The open handles of this thread, and places of closed ones.
    static HANDLES: RefCell<Vec<Option<Entry>>> = const { RefCell::new(Vec::new()) };
}

fn put(entry: Entry) -> Number {
    HANDLES.with_borrow_mut(|table| {
        let free = table.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            table.push(None);
            table.len() - 1
        });
        table[number] = Some(entry);
        Number(number)
    })
}

/// A file.
#[derive(Debug)]
pub enum DiskFile {
    /// One of the host's.
    Handle(Number),
    /// Memory.
    Memory(MemFile),
}

/// A handle, by its number. The handle is closed when this is dropped.
#[derive(Debug)]
pub struct Number(usize);

impl Number {
    fn with<T>(
        &self,
        work: impl FnOnce(&FileSystemSyncAccessHandle) -> Result<T, JsValue>,
    ) -> Result<T, FileError> {
        let handle = HANDLES.with_borrow(|table| {
            table.get(self.0).and_then(Option::as_ref).map(|entry| entry.handle.clone())
        });
        let handle = handle.ok_or_else(|| FileError::other("a file of another thread"))?;
        work(&handle).map_err(|error| describe(&error))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let entry = HANDLES.with_borrow_mut(|table| table.get_mut(self.0).and_then(Option::take));
        let Some(Entry { handle, files, name, removed }) = entry else { return };
        handle.close();
        if removed {
            // What stays behind is removed at the next start.
            let _ = files.remove(&name);
        }
    }
}

impl File for DiskFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        match self {
            Self::Memory(file) => file.read_at(at, into),
            Self::Handle(number) => number.with(|handle| {
                let bytes = handle.read_with_u8_array_and_options(into, &options(at))?;
                Ok(bytes as usize)
            }),
        }
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let number = match self {
            Self::Memory(file) => return file.write_at(at, bytes),
            Self::Handle(number) => number,
        };
        // A view of this module's memory, which nothing grows while the call lasts: the bytes
        // are copied once, by the file.
        let written = number.with(|handle| {
            let written = handle.write_with_u8_array_and_options(bytes, &options(at))?;
            Ok(written as usize)
        })?;
        match written == bytes.len() {
            true => Ok(()),
            // A full quota cuts a write short before it refuses the next.
            false => Err(FileError::no_space(format!(
                "the browser wrote {written} of {} bytes",
                bytes.len()
            ))),
        }
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        match self {
            Self::Memory(file) => file.set_len(length),
            Self::Handle(number) => number.with(|handle| handle.truncate_with_f64(length as f64)),
        }
    }

    fn len(&self) -> Result<u64, FileError> {
        match self {
            Self::Memory(file) => file.len(),
            Self::Handle(number) => number.with(|handle| Ok(handle.get_size()? as u64)),
        }
    }

    fn sync(&self) -> Result<(), FileError> {
        match self {
            Self::Memory(file) => file.sync(),
            Self::Handle(number) => number.with(FileSystemSyncAccessHandle::flush),
        }
    }
}

fn options(at: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(at as f64);
    options
}

fn describe(error: &JsValue) -> FileError {
    let Some(exception) = error.dyn_ref::<DomException>() else {
        return FileError::other(words(error));
    };
    let text = format!("{}: {}", exception.name(), exception.message());
    match exception.name().as_str() {
        "QuotaExceededError" => FileError::no_space(text),
        _ => FileError::other(text),
    }
}

/// Anything that was thrown, for people.
fn words(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => thrown.as_string().unwrap_or_else(|| "the file refused without a reason".into()),
    }
}
