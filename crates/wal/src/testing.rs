//! Golden scripts: a log's bytes, written, damaged and recovered by commands.
//!
//! * `new [id=N] [version=N]` begins a log. `batch [number=N] RECORD…` writes one;
//!   `INDEX=PAYLOAD` is an entry, `slotN=VALUE` a slot, `cut=INDEX` a cut, `reset=INDEX` a
//!   reset, `x@100` a text a hundred times. `sync` makes what is written count as safe.
//!   `segment` goes on in another segment.
//! * `forge number=N [synced=N] [records=N] [body_bytes=N] hex=BYTES` writes a batch with any
//!   body, its checksums right.
//! * `flip at=N [bit=N]`, `zero at=N bytes=N`, `put at=N text=TEXT|hex=BYTES`, `cut at=N` and
//!   `grow bytes=N` damage the last segment, or with `segment=N` that one; `lose segment=N`
//!   loses one. `save` keeps a copy of all, `load` takes it back, `load at=N` of the last only
//!   what was from there on.
//! * `recover` shows what the bytes say, `resume` goes on writing there.
//! * `hex [at=N] [bytes=N]` shows the bytes.

use std::error::Error;
use std::fmt::Write as _;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use crate::format::{BATCH_HEADER_BYTES, BatchHeader, SEGMENT_HEADER_BYTES};
use crate::{Batch, Record, Recovered, Refused, Tail, Torn, recover_segments};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// All scripts by name, each with the output that it should have: for a runner without files.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("corrupt", include_str!("../tests/scripts/corrupt")),
    ("format", include_str!("../tests/scripts/format")),
    ("leftover", include_str!("../tests/scripts/leftover")),
    ("refuse_read", include_str!("../tests/scripts/refuse_read")),
    ("refuse_write", include_str!("../tests/scripts/refuse_write")),
    ("replay", include_str!("../tests/scripts/replay")),
    ("segments", include_str!("../tests/scripts/segments")),
    ("torn", include_str!("../tests/scripts/torn")),
    ("unknown", include_str!("../tests/scripts/unknown")),
];

/// Runs a script and gives it back with the output that it has now.
///
/// # Panics
/// If the script itself does not parse, or a command fails that is not expected to.
#[must_use]
pub fn run(script: &str) -> String {
    let mut runner = Script { files: vec![Vec::new()], ..Script::default() };
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
            None if key == "cut" => batch.records.push(Record::Cut { index: text.parse()? }),
            None if key == "reset" => batch.records.push(Record::Reset { index: text.parse()? }),
            None => batch.records.push(Record::Append { index: key.parse()?, payload: value }),
        }
    }
    args.reject_next()?;
    Ok(batch)
}

/// What was recovered, for people.
#[must_use]
pub fn show(recovered: &Recovered) -> String {
    let Recovered { slots, entries, next, segments, end, torn } = recovered;
    let mut out = format!("next {next}, end {end}");
    match segments.as_slice() {
        [] | [_] => out.push('\n'),
        many => {
            let highest: Vec<u64> = many.iter().map(|segment| segment.highest).collect();
            out += &format!(" of segment {}, highest entries {highest:?}\n", many.len() - 1);
        }
    }
    for (slot, value) in slots {
        let _ = writeln!(out, "slot {slot} = {}", brief(value));
    }
    for (index, payload) in entries {
        let _ = writeln!(out, "entry {index} = {}", brief(payload));
    }
    if let Some(torn) = torn {
        let of = if segments.len() > 1 { format!("segment {}: ", torn.segment) } else { "".into() };
        let Torn { segment: _, at, bytes, why } = torn;
        let _ = writeln!(out, "torn: {of}cut {bytes} bytes at byte {at}: {why}");
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
    /// The segments; the last one is written to.
    files: Vec<Vec<u8>>,
    saved: Vec<Vec<u8>>,
    tail: Option<Tail>,
    saved_tail: Option<Tail>,
    synced: u64,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "batch" => return self.batch(command),
            "new" => self.new_log(&mut args)?,
            "segment" => self.segment()?,
            "sync" => self.synced = self.tail()?.next() - 1,
            "forge" => self.forge(&mut args)?,
            "save" => {
                self.saved.clone_from(&self.files);
                self.saved_tail.clone_from(&self.tail);
            }
            "load" => self.load(number(&mut args, "at")?)?,
            "lose" => {
                let segment = number(&mut args, "segment")?.ok_or("which segment?")?;
                self.files.remove(segment);
            }
            "recover" => return Ok(show(&self.recover()?.0)),
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
        let (header, tail) = Tail::begin(number(args, "id")?.unwrap_or(1));
        self.files = vec![header.to_vec()];
        if let Some(version) = number::<u32>(args, "version")? {
            self.write(8, &version.to_le_bytes())?;
            let at = SEGMENT_HEADER_BYTES - 4;
            let checksum = crc32c::crc32c(&self.file()?[..at]);
            self.write(at, &checksum.to_le_bytes())?;
        }
        self.tail = Some(tail);
        self.synced = 0;
        Ok(())
    }

    fn segment(&mut self) -> Outcome<()> {
        let (header, tail) = self.tail()?.next_segment();
        self.files.push(header.to_vec());
        self.synced = tail.next() - 1;
        self.tail = Some(tail);
        Ok(())
    }

    fn recover(&self) -> Result<(Recovered, Option<Tail>), Refused> {
        let files: Vec<&[u8]> = self.files.iter().map(Vec::as_slice).collect();
        recover_segments(&files)
    }

    fn file(&mut self) -> Outcome<&mut Vec<u8>> {
        Ok(self.files.last_mut().ok_or("no log: say `new` first")?)
    }

    fn tail(&self) -> Outcome<Tail> {
        Ok(self.tail.clone().ok_or("no log: say `new` first")?)
    }

    fn batch(&mut self, command: &Command) -> Outcome<String> {
        let tail = self.tail()?;
        let batch = batch(command, tail.next())?;
        let mut bytes = Vec::new();
        self.tail = Some(tail.encode(&batch, self.synced, &mut bytes)?);
        self.write(tail.position() as usize, &bytes)?;
        Ok(format!("batch {} at {}, {} bytes", batch.number, tail.position(), bytes.len()))
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Outcome<()> {
        let file = self.file()?;
        let end = file.len().max(at + bytes.len());
        file.resize(end, 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn load(&mut self, at: Option<usize>) -> Outcome<()> {
        let Some(at) = at else {
            self.files.clone_from(&self.saved);
            self.tail.clone_from(&self.saved_tail);
            self.synced = self.tail()?.next() - 1;
            return Ok(());
        };
        let saved = self.saved.last().ok_or("nothing is saved")?;
        let kept = saved[at.min(saved.len())..].to_vec();
        let file = self.file()?;
        file.resize(at, 0);
        file.extend(kept);
        Ok(())
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
        self.write(at, &header.encode(tail.log_id))?;
        self.write(at + BATCH_HEADER_BYTES, &padded)
    }

    fn resume(&mut self) -> Outcome<()> {
        let (recovered, tail) = self.recover()?;
        if let Some(torn) = recovered.torn {
            let at = torn.at as usize;
            self.files[torn.segment][at..at + torn.bytes as usize].fill(0);
        }
        self.tail = Some(tail.ok_or("the files hold no log")?);
        self.synced = recovered.next - 1;
        Ok(())
    }

    fn damage(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        let at: Option<usize> = number(args, "at")?;
        let bytes: Option<usize> = number(args, "bytes")?;
        let segment = number(args, "segment")?.unwrap_or(self.files.len().saturating_sub(1));
        let file = self.files.get_mut(segment).ok_or("no such segment")?;
        let mut write = |at: usize, bytes: &[u8]| {
            file.resize(file.len().max(at + bytes.len()), 0);
            file[at..at + bytes.len()].copy_from_slice(bytes);
        };
        match (name, at, bytes) {
            ("flip", Some(at), None) => file[at] ^= 1 << number::<u8>(args, "bit")?.unwrap_or(0),
            ("zero", Some(at), Some(bytes)) => write(at, &vec![0; bytes]),
            ("put", Some(at), None) => match args.take_key("hex") {
                Some(hex) => write(at, &from_hex(hex)?),
                None => write(at, &text_of(args.take_key("text").unwrap_or_default())?),
            },
            ("cut", Some(at), None) => file.truncate(at),
            ("grow", None, Some(bytes)) => file.resize(file.len() + bytes, 0),
            _ => return Err(format!("{name} with these arguments is no command").into()),
        }
        Ok(())
    }

    fn hex(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
        let at: usize = number(args, "at")?.unwrap_or(0);
        let bytes = number(args, "bytes")?;
        args.reject_next()?;
        let file = self.file()?;
        let end = at.saturating_add(bytes.unwrap_or(file.len())).min(file.len());
        let mut out = String::new();
        for (line, bytes) in file[at.min(end)..end].chunks(16).enumerate() {
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
