//! Where a member keeps its log: a sync access handle, or memory.

use storage::{File, FileError, MemFile};
use wasm_bindgen::{JsCast, prelude::*};
use web_sys::{DomException, FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

/// A member's one file.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Disk(Kind);

#[derive(Clone)]
enum Kind {
    /// OPFS in a browser's Worker; any object of the same shape elsewhere.
    Handle(FileSystemSyncAccessHandle),
    /// Gone with the module.
    Memory(MemFile),
}

#[wasm_bindgen]
impl Disk {
    /// On a `FileSystemSyncAccessHandle`, or an object with its methods.
    #[wasm_bindgen(js_name = onHandle)]
    pub fn on_handle(handle: FileSystemSyncAccessHandle) -> Self {
        Self(Kind::Handle(handle))
    }

    /// In memory.
    #[wasm_bindgen(js_name = inMemory)]
    pub fn in_memory() -> Self {
        Self(Kind::Memory(MemFile::new()))
    }
}

impl File for Disk {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        match &self.0 {
            Kind::Memory(file) => file.read_at(at, into),
            Kind::Handle(handle) => handle
                .read_with_u8_array_and_options(into, &options(at))
                .map(|bytes| bytes as usize)
                .map_err(|error| describe(&error)),
        }
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let handle = match &self.0 {
            Kind::Memory(file) => return file.write_at(at, bytes),
            Kind::Handle(handle) => handle,
        };
        // A view of this module's memory, which nothing grows while the call lasts: the bytes
        // are copied once, by the file.
        let written = handle
            .write_with_u8_array_and_options(bytes, &options(at))
            .map_err(|error| describe(&error))? as usize;
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
        match &self.0 {
            Kind::Memory(file) => file.set_len(length),
            Kind::Handle(handle) => {
                handle.truncate_with_f64(length as f64).map_err(|error| describe(&error))
            }
        }
    }

    fn len(&self) -> Result<u64, FileError> {
        match &self.0 {
            Kind::Memory(file) => file.len(),
            Kind::Handle(handle) => {
                handle.get_size().map(|size| size as u64).map_err(|error| describe(&error))
            }
        }
    }

    fn sync(&self) -> Result<(), FileError> {
        match &self.0 {
            Kind::Memory(file) => file.sync(),
            Kind::Handle(handle) => handle.flush().map_err(|error| describe(&error)),
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
