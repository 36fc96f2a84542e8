//! Golden scripts: a log's bytes, written, damaged and recovered by commands.
//!
//! * `new [id=N] [version=N]` begins a log. `batch [number=N] RECORD…` writes one;
//!   `INDEX=PAYLOAD` is an entry, `slotN=VALUE` a slot, `x@100` a text a hundred times. `sync`
//!   makes what is written count as safe.
//! * `forge number=N [synced=N] [records=N] [body_bytes=N] hex=BYTES` writes a batch with any
//!   body, its checksums right.
//! * `flip at=N [bit=N]`, `zero at=N bytes=N`, `put at=N text=TEXT|hex=BYTES`, `cut at=N` and
//!   `grow bytes=N` damage the file. `save` keeps a copy of it, `load` takes it back, `load
//!   at=N` only what was from there on.
//! * `recover` shows what the bytes say, `resume` goes on writing there.
//! * `hex [at=N] [bytes=N]` shows the bytes.

use std::error::Error;
use std::fmt::Write as _;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use crate::format::{BATCH_HEADER_BYTES, BatchHeader};
use crate::{Batch, Record, Recovered, Tail, file_header, recover_bytes};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// All scripts by name, each with the output that it should have: for a runner without files.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("corrupt", include_str!("../tests/scripts/corrupt")),
    ("format", include_str!("../tests/scripts/format")),
    ("leftover", include_str!("../tests/scripts/leftover")),
    ("refuse_read", include_str!("../tests/scripts/refuse_read")),
    ("refuse_write", include_str!("../tests/scripts/refuse_write")),
    ("replay", include_str!("../tests/scripts/replay")),
    ("torn", include_str!("../tests/scripts/torn")),
    ("unknown", include_str!("../tests/scripts/unknown")),
];

/// Runs a script and gives it back with the output that it has now.
///
/// # Panics
/// If the script itself does not parse, or a command fails that is not expected to.
#[must_use]
pub fn run(script: &str) -> String {
    let mut runner = Script::default();
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| panic!("{error}"))
}

/// The records that a command's arguments name, in their order, and the batch's number.
///
/// # Errors
/// If an argument is not a record.
pub fn batch(command: &Command, next: u64) -> Outcome<Batch> {
    let mut batch = Batch { number: next, records: Vec::new() };
    let mut args = command.consume_args();
    while let Some((key, text)) = args.next_key() {
        let value = Bytes::from(text_of(text)?);
        match key.strip_prefix("slot") {
            Some(slot) => batch.records.push(Record::Set { slot: slot.parse()?, value }),
            None if key == "number" => batch.number = text.parse()?,
            None => batch.records.push(Record::Append { index: key.parse()?, payload: value }),
        }
    }
    args.reject_next()?;
    Ok(batch)
}

/// What was recovered, for people.
#[must_use]
pub fn show(recovered: &Recovered) -> String {
    let Recovered { slots, entries, next, end, torn } = recovered;
    let mut out = format!("next {next}, end {end}\n");
    for (slot, value) in slots {
        let _ = writeln!(out, "slot {slot} = {}", brief(value));
    }
    for (index, payload) in entries {
        let _ = writeln!(out, "entry {index} = {}", brief(payload));
    }
    if let Some(torn) = torn {
        let _ = writeln!(out, "torn: {torn}");
    }
    out
}

fn brief(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    format!("\"{}…\" ({} bytes)", bytes[..SHOWN].escape_ascii(), bytes.len())
}

fn text_of(text: &str) -> Outcome<Vec<u8>> {
    match text.split_once('@') {
        Some((part, times)) => Ok(part.repeat(times.parse()?).into_bytes()),
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn from_hex(text: &str) -> Outcome<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return Err(format!("{text} is not hex").into());
    }
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).map_err(Into::into);
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number<T: std::str::FromStr<Err: Error + 'static>>(
    args: &mut ArgumentConsumer<'_>,
    key: &str,
) -> Outcome<Option<T>> {
    Ok(args.take_key(key).map(str::parse).transpose()?)
}

#[derive(Default)]
struct Script {
    file: Vec<u8>,
    saved: Vec<u8>,
    tail: Option<Tail>,
    synced: u64,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "batch" => return self.batch(command),
            "new" => self.new_log(&mut args)?,
            "sync" => self.synced = self.tail()?.next() - 1,
            "forge" => self.forge(&mut args)?,
            "save" => self.saved.clone_from(&self.file),
            "load" => self.load(number(&mut args, "at")?.unwrap_or(0)),
            "recover" => return Ok(show(&recover_bytes(&self.file)?.0)),
            "resume" => self.resume()?,
            "hex" => return self.hex(&mut args),
            _ => self.damage(&command.name, &mut args)?,
        }
        args.reject_next()?;
        Ok(String::new())
    }
}

impl Script {
    fn new_log(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        let id = number(args, "id")?.unwrap_or(1);
        self.file = file_header(id).to_vec();
        if let Some(version) = number::<u32>(args, "version")? {
            self.write(8, &version.to_le_bytes());
            let checksum = crc32c::crc32c(&self.file[..28]);
            self.write(28, &checksum.to_le_bytes());
        }
        self.tail = Some(Tail::new(id));
        self.synced = 0;
        Ok(())
    }

    fn tail(&self) -> Outcome<Tail> {
        Ok(self.tail.clone().ok_or("no log: say `new` first")?)
    }

    fn batch(&mut self, command: &Command) -> Outcome<String> {
        let tail = self.tail()?;
        let batch = batch(command, tail.next())?;
        let mut bytes = Vec::new();
        self.tail = Some(tail.encode(&batch, self.synced, &mut bytes)?);
        self.write(tail.position() as usize, &bytes);
        Ok(format!("batch {} at {}, {} bytes", batch.number, tail.position(), bytes.len()))
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = self.file.len().max(at + bytes.len());
        self.file.resize(end, 0);
        self.file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn load(&mut self, at: usize) {
        self.file.resize(at, 0);
        self.file.extend_from_slice(&self.saved[at.min(self.saved.len())..]);
    }

    fn forge(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        let tail = self.tail()?;
        let body = from_hex(args.take_key("hex").unwrap_or_default())?;
        let mut padded = body.clone();
        padded.resize(body.len().next_multiple_of(8), 0);
        let header = BatchHeader {
            body_bytes: number(args, "body_bytes")?.unwrap_or(body.len() as u32),
            number: number(args, "number")?.unwrap_or(tail.next()),
            synced: number(args, "synced")?.unwrap_or(self.synced),
            records: number(args, "records")?.unwrap_or(1),
            previous: tail.previous,
            body_checksum: crc32c::crc32c(&padded),
        };
        let at = tail.position() as usize;
        self.write(at, &header.encode(tail.log_id));
        self.write(at + BATCH_HEADER_BYTES, &padded);
        Ok(())
    }

    fn resume(&mut self) -> Outcome<()> {
        let (recovered, tail) = recover_bytes(&self.file)?;
        if let Some(torn) = recovered.torn {
            self.write(torn.at as usize, &vec![0; torn.bytes as usize]);
        }
        self.tail = Some(tail.ok_or("the file holds no log")?);
        self.synced = recovered.next - 1;
        Ok(())
    }

    fn damage(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        let at: Option<usize> = number(args, "at")?;
        let bytes: Option<usize> = number(args, "bytes")?;
        match (name, at, bytes) {
            ("flip", Some(at), None) => {
                self.file[at] ^= 1 << number::<u8>(args, "bit")?.unwrap_or(0);
            }
            ("zero", Some(at), Some(bytes)) => self.write(at, &vec![0; bytes]),
            ("put", Some(at), None) => {
                let bytes = match args.take_key("hex") {
                    Some(hex) => from_hex(hex)?,
                    None => text_of(args.take_key("text").unwrap_or_default())?,
                };
                self.write(at, &bytes);
            }
            ("cut", Some(at), None) => self.file.truncate(at),
            ("grow", None, Some(bytes)) => self.file.resize(self.file.len() + bytes, 0),
            _ => return Err(format!("{name} with these arguments is no command").into()),
        }
        Ok(())
    }

    fn hex(&self, args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
        let at: usize = number(args, "at")?.unwrap_or(0);
        let bytes = number(args, "bytes")?.unwrap_or(self.file.len());
        args.reject_next()?;
        let end = at.saturating_add(bytes).min(self.file.len());
        let mut out = String::new();
        for (line, bytes) in self.file[at.min(end)..end].chunks(16).enumerate() {
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String = bytes
                .iter()
                .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
                .collect();
            let _ = writeln!(out, "{:>4}  {:<47}  {text}", at + line * 16, hex.join(" "));
        }
        Ok(out)
    }
}
