//! Which cluster owns which name, kept in the hub's data directory.
//!
//! ```text
//!  DIR/lock            held while a hub runs: two hubs never share a directory
//!  DIR/bindings.json   {"version":1,"bindings":{"default":"3f2a…"}}   cluster ids in hex
//! ```
//!
//! The file is replaced as a whole and synced, with its directory, before the relay hears that
//! a binding is saved. One that cannot be read ends the hub and is left as it is: whoever
//! overwrites it gives a name away.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use api::identity::ClusterId;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
const FILE: &str = "bindings.json";
const NEW_FILE: &str = "bindings.json.new";
const LOCK: &str = "lock";

/// The bindings, and the right to change them.
pub(crate) struct Bindings {
    dir: PathBuf,
    names: BTreeMap<String, ClusterId>,
    /// Held, never read.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    version: u32,
    bindings: BTreeMap<String, String>,
}

/// What every version of the file has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Bindings {
    /// Opens a data directory and keeps it until dropped. Makes it when it is missing.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the data directory {}", dir.display()))?;
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        let names = match fs::read(&path) {
            Ok(bytes) => read(&bytes).with_context(|| {
                format!(
                    "cannot use {}; it says which cluster owns which name and is left as it is",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Ok(Self { dir: dir.to_owned(), names, _lock: lock })
    }

    /// Every name that has an owner.
    pub(crate) fn names(&self) -> &BTreeMap<String, ClusterId> {
        &self.names
    }

    /// Gives a name an owner or frees it, durably. After an error nothing has changed in
    /// memory, and the file is the old one or the new one.
    pub(crate) fn save(&mut self, name: &str, cluster: Option<ClusterId>) -> Result<()> {
        let mut names = self.names.clone();
        match cluster {
            Some(cluster) => names.insert(name.to_owned(), cluster),
            None => names.remove(name),
        };
        replace(&self.dir, &write(&names))
            .with_context(|| format!("cannot write {}", self.dir.join(FILE).display()))?;
        self.names = names;
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another hub uses the data directory {}; give this one its own with --data-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn read(bytes: &[u8]) -> Result<BTreeMap<String, ClusterId>> {
    let AnyVersion { version } =
        serde_json::from_slice(bytes).context("it is no file of bindings")?;
    if version != VERSION {
        bail!("it is of version {version}; this program reads version {VERSION}");
    }
    let OnDisk { version: _, bindings } = serde_json::from_slice(bytes).context("it is damaged")?;
    bindings.into_iter().map(|(name, id)| Ok((name, read_id(&id)?))).collect()
}

fn read_id(text: &str) -> Result<ClusterId> {
    match u64::from_str_radix(text, 16) {
        Ok(id) if id != 0 => Ok(ClusterId(id)),
        _ => bail!("it is damaged: {text:?} is no cluster id"),
    }
}

fn write(names: &BTreeMap<String, ClusterId>) -> Vec<u8> {
    let bindings = names.iter().map(|(name, id)| (name.clone(), id.to_string())).collect();
    let mut bytes = serde_json::to_vec(&OnDisk { version: VERSION, bindings })
        .expect("names and numbers are always JSON");
    bytes.push(b'\n');
    bytes
}

/// The old file or the new one is there at every moment, also after a power cut.
fn replace(dir: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = dir.join(NEW_FILE);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: ClusterId = ClusterId(u64::MAX);

    #[test]
    fn what_is_saved_is_there_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bindings = Bindings::open(dir.path()).expect("opens empty");
        bindings.save("default", Some(ClusterId(7))).expect("saves");
        bindings.save("ünïcode \" name", Some(OTHER)).expect("saves");
        bindings.save("gone", Some(OTHER)).expect("saves");
        bindings.save("gone", None).expect("frees");
        drop(bindings);
        let bindings = Bindings::open(dir.path()).expect("opens again");
        let expected =
            [("default".to_owned(), ClusterId(7)), ("ünïcode \" name".to_owned(), OTHER)];
        assert_eq!(*bindings.names(), BTreeMap::from(expected));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_and_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let wrong: [(&str, &str); 5] = [
            ("", "no file of bindings"),
            ("{\"version\":1", "no file of bindings"),
            ("{\"version\":2,\"more\":1}", "version 2"),
            ("{\"version\":1,\"bindings\":{\"a\":\"0\"}}", "no cluster id"),
            ("{\"version\":1,\"bindings\":{\"a\":7}}", "damaged"),
        ];
        for (text, says) in wrong {
            fs::write(dir.path().join(FILE), text).expect("writes");
            let error = Bindings::open(dir.path()).err().expect("refuses");
            let told = format!("{error:#}");
            assert!(told.contains(says) && told.contains(FILE), "{text}: {told}");
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).expect("is there"), text);
        }
    }

    #[test]
    fn a_directory_has_one_hub() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Bindings::open(dir.path()).expect("opens");
        let error = Bindings::open(dir.path()).err().expect("is taken");
        let told = error.to_string();
        assert!(told.contains("another hub") && told.contains("--data-dir"), "{told}");
        drop(first);
        Bindings::open(dir.path()).expect("is free again");
    }
}
