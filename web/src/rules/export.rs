//! A cluster's keys at one revision, as a file: lines of JSON, in etcd's own names and forms.
//!
//! ```text
//! {"kvorum":"export","version":1,"cluster":"default","cluster_id":"a6…","revision":"42"}
//! {"key":"a2V5MQ==","value":"dmFsdWUx","create_revision":"2","mod_revision":"41","version":"7"}
//! …                                                                     one line for each key
//! {"keys":"12","sha256":"9f86d0…"}              of all bytes before this line, line ends included
//! ```

use api::Bytes;
use api::kv::KeyValue;
use api::limits::{REQUEST_BYTES, REQUEST_OVERHEAD_BYTES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const KIND: &str = "export";
const VERSION: u32 = 1;

/// No line of a file that a member can take is longer: base64 takes four bytes for three.
pub const LINE_BYTES: usize = (REQUEST_BYTES + REQUEST_OVERHEAD_BYTES) * 4 / 3 + 1024;

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    kvorum: &'a str,
    version: u32,
    cluster: String,
    cluster_id: String,
    revision: String,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    create_revision: String,
    #[serde(default)]
    mod_revision: String,
    #[serde(default)]
    version: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    keys: String,
    sha256: String,
}

/// Writes a file, line by line.
#[derive(Default)]
pub struct Writer {
    hash: Sha256,
    keys: u64,
}

impl Writer {
    /// The first line.
    pub fn head(&mut self, cluster: &str, cluster_id: &str, revision: i64) -> String {
        self.line(&Head {
            kvorum: KIND,
            version: VERSION,
            cluster: cluster.into(),
            cluster_id: cluster_id.into(),
            revision: revision.to_string(),
        })
    }

    /// A key's line.
    pub fn pair(&mut self, kv: &KeyValue) -> String {
        self.keys += 1;
        self.line(&Pair {
            key: STANDARD.encode(&kv.key),
            value: STANDARD.encode(&kv.value),
            create_revision: kv.create_revision.to_string(),
            mod_revision: kv.mod_revision.to_string(),
            version: kv.version.to_string(),
        })
    }

    /// The last line.
    pub fn end(mut self) -> String {
        let sha256 = hex(&self.hash);
        let keys = self.keys.to_string();
        self.line(&End { keys, sha256 })
    }

    /// Keys so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    fn line(&mut self, of: &impl Serialize) -> String {
        let mut line = serde_json::to_string(of).expect("strings and numbers are always JSON");
        line.push('\n');
        self.hash.update(&line);
        line
    }
}

/// Reads a file, line by line, in pieces as they come. An error is a sentence that names the line.
#[derive(Default)]
pub struct Reader {
    hash: Sha256,
    /// The start of a line whose end has not come.
    part: Vec<u8>,
    lines: u64,
    keys: u64,
    ended: bool,
}

impl Reader {
    /// The keys that are complete with these bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<(Bytes, Bytes)>, String> {
        let mut pairs = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.part.extend_from_slice(&rest[..=end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.part);
            self.lines += 1;
            pairs.extend(self.line(&line).map_err(|why| self.wrong(&why))?);
        }
        self.part.extend_from_slice(rest);
        match self.part.len() > LINE_BYTES {
            true => Err(format!("Line {} is longer than any key can be.", self.lines + 1)),
            false => Ok(pairs),
        }
    }

    /// The file has no more bytes. Gives the count of keys.
    pub fn end(self) -> Result<u64, String> {
        match (self.ended, self.lines) {
            (true, _) if self.part.is_empty() => Ok(self.keys),
            (false, 0) => Err("This is no file of an exported cluster.".into()),
            _ => Err("The file is cut off: its last line is missing. Export it again.".into()),
        }
    }

    fn wrong(&self, why: &str) -> String {
        match self.lines {
            1 => format!("This is no file of an exported cluster: {why}."),
            line => format!("Line {line} is damaged: {why}."),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<(Bytes, Bytes)>, String> {
        if self.ended {
            return Err("it comes after the end".into());
        }
        if self.lines == 1 {
            self.head(line)?;
        } else if line.starts_with(b"{\"keys\"") {
            return self.last(line).map(|()| None);
        }
        self.hash.update(line);
        if self.lines == 1 {
            return Ok(None);
        }
        let pair: Pair = serde_json::from_slice(line).map_err(|_| "it is no key".to_owned())?;
        self.keys += 1;
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| "it is no base64".to_owned());
        Ok(Some((bytes(&pair.key)?.into(), bytes(&pair.value)?.into())))
    }

    fn head(&self, line: &[u8]) -> Result<(), String> {
        let head: Head<'_> =
            serde_json::from_slice(line).map_err(|_| "its first line says so".to_owned())?;
        match (head.kvorum, head.version) {
            (KIND, VERSION) => Ok(()),
            (KIND, newer) => Err(format!(
                "it is of version {newer}, and this page reads version {VERSION}; use a newer one"
            )),
            _ => Err("its first line says so".into()),
        }
    }

    fn last(&mut self, line: &[u8]) -> Result<(), String> {
        let end: End = serde_json::from_slice(line).map_err(|_| "it is no end".to_owned())?;
        if end.keys != self.keys.to_string() {
            return Err(format!("it tells of {} keys, and {} are there", end.keys, self.keys));
        }
        if end.sha256 != hex(&self.hash) {
            return Err("its checksum is not that of the lines before, so one of them is".into());
        }
        self.ended = true;
        Ok(())
    }
}

fn hex(hash: &Sha256) -> String {
    hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &[u8], value: &[u8]) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
            create_revision: 2,
            mod_revision: i64::MAX,
            version: 1,
            ..KeyValue::default()
        }
    }

    fn file() -> String {
        let mut writer = Writer::default();
        let mut file = writer.head("default", "a6", 42);
        file += &writer.pair(&pair(b"key1", b"value1"));
        file += &writer.pair(&pair(&[0, 255], b""));
        file + &writer.end()
    }

    fn read(file: &[u8], step: usize) -> Result<Vec<(Bytes, Bytes)>, String> {
        let mut reader = Reader::default();
        let mut pairs = Vec::new();
        for piece in file.chunks(step) {
            pairs.extend(reader.take(piece)?);
        }
        assert_eq!(reader.end()?, pairs.len() as u64);
        Ok(pairs)
    }

    #[test]
    fn a_file_is_lines_of_etcds_json() {
        let lines = concat!(
            r#"{"kvorum":"export","version":1,"cluster":"default","cluster_id":"a6","#,
            r#""revision":"42"}"#,
            "\n",
            r#"{"key":"a2V5MQ==","value":"dmFsdWUx","create_revision":"2","#,
            r#""mod_revision":"9223372036854775807","version":"1"}"#,
            "\n",
        );
        assert!(file().starts_with(lines), "{}", file());
    }

    #[test]
    fn what_was_written_is_read_in_pieces_of_any_size() {
        let expected: Vec<(Bytes, Bytes)> = vec![
            (Bytes::from_static(b"key1"), Bytes::from_static(b"value1")),
            (Bytes::from_static(&[0, 255]), Bytes::new()),
        ];
        for step in [1, 7, 4096] {
            assert_eq!(read(file().as_bytes(), step), Ok(expected.clone()));
        }
    }

    #[test]
    fn no_cut_and_no_changed_byte_goes_unnoticed() {
        let file = file();
        for length in 0..file.len() {
            assert!(read(&file.as_bytes()[..length], 64).is_err(), "cut at {length}");
        }
        for at in 0..file.len() {
            let mut bytes = file.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(read(&bytes, 64).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn other_files_are_refused_in_words() {
        let told = |file: &str| read(file.as_bytes(), 64).expect_err("refuses");
        assert_eq!(told(""), "This is no file of an exported cluster.");
        assert!(told("PK\x03\x04\n").starts_with("This is no file of an exported cluster: "));
        let newer = file().replace("\"version\":1,\"cl", "\"version\":2,\"cl");
        assert!(told(&newer).contains("version 2"), "{}", told(&newer));
        let cut = file().lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
        assert!(told(&cut).contains("cut off"), "{}", told(&cut));
        let long = "x".repeat(LINE_BYTES + 1);
        assert_eq!(told(&long), "Line 1 is longer than any key can be.");
    }
}
