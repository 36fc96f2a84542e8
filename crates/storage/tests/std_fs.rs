//! The log on files of the operating system.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use kvorum_storage::std_fs::{StdDirectory, StdFile};
use kvorum_storage::{Directory as _, FIRST_FILE, File as _, FileErrorKind, Log, LogOptions};
use wal::{Batch, Record};

/// A directory that goes away with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kvorum-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn batch(number: u64) -> Batch {
    let payload = Bytes::from(format!("entry {number}"));
    Batch { number, records: vec![Record::Append { index: number, payload }] }
}

#[test]
fn a_log_comes_back() {
    let directory = Temporary::new("log");
    let open = || StdDirectory::open(&directory.0).expect("a directory");
    let options = LogOptions { segment_bytes: 1000, ..LogOptions::new(1, 1024) };
    for start in 0..3_u64 {
        let (mut log, recovered) = Log::open(open(), options).expect("a log");
        assert_eq!(recovered.next, start * 10 + 1);
        for number in recovered.next..recovered.next + 10 {
            log.append(&batch(number)).expect("room");
        }
        assert_eq!(log.sync(), Ok(start * 10 + 10));
    }
    let mut names = open().names().expect("it can be listed");
    names.sort();
    assert_eq!(names, ["log-00000001", "log-00000002", "log-00000003"]);
    // A torn end and a flipped bit, on a real file.
    let path = directory.0.join(FIRST_FILE);
    let mut bytes = fs::read(&path).expect("a file");
    bytes[100] ^= 4;
    fs::write(&path, &bytes).expect("a file");
    let error = Log::open(open(), options).expect_err("corrupt").to_string();
    assert!(error.starts_with("log-00000001: log refused at byte 48"), "{error}");
    assert!(error.contains("was once safe on disk"), "{error}");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
}

#[test]
fn one_owner() {
    let directory = Temporary::new("owner");
    let first = StdDirectory::open(&directory.0).expect("a directory");
    let error = StdDirectory::open(&directory.0).expect_err("it is taken");
    assert!(error.text.ends_with("is in use by another process"), "{error}");
    drop(first);
    let again = StdDirectory::open(&directory.0).expect("it is free again");
    again.open("some").expect("a file");
    assert_eq!(again.names().expect("it can be listed"), ["some"]);
    again.remove("some").expect("it is there");
    again.remove("some").expect("that it is gone is no error");
}

#[test]
fn errors_name_the_file() {
    let directory = Temporary::new("errors");
    let missing = directory.0.join("missing/log");
    let error = StdFile::open(&missing).expect_err("no directory");
    assert_eq!(error.kind, FileErrorKind::Other);
    assert!(error.text.contains("missing/log cannot be opened"), "{error}");
}

#[test]
fn reads_and_lengths() {
    let directory = Temporary::new("reads");
    let file = StdFile::open(directory.0.join("file")).expect("a file");
    file.write_at(5, b"hello").expect("room");
    assert_eq!(file.len(), Ok(10));
    let mut bytes = [9; 8];
    assert_eq!(file.read_at(4, &mut bytes), Ok(6));
    assert_eq!(&bytes[..6], b"\0hello");
    assert_eq!(file.read_at(10, &mut bytes), Ok(0));
    file.set_len(7).expect("room");
    assert_eq!(file.len(), Ok(7));
    file.sync().expect("a disk");
}
