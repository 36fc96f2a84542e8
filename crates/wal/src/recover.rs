//! What a file says after a start.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;

use crate::error::{Damage, RecoverError, Refusal, Refused};
use crate::format::{
    self, BATCH_BYTES, BATCH_HEADER_BYTES, BatchHeader, FILE_HEADER_BYTES, FORMAT_VERSION, MAGIC,
    NotAHeader,
};
use crate::record::{FIRST_NUMBER, Record};
use crate::scan::{Behind, Window, look_behind};
use crate::tail::{Indexes, Tail};

/// What all batches of a log say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The newest value of each slot.
    pub slots: BTreeMap<u8, Bytes>,
    /// The entries with their indexes, each one above the one before.
    pub entries: Vec<(u64, Bytes)>,
    /// The number of the next batch.
    pub next: u64,
    /// Where in the file the next batch goes: the bytes in use.
    pub end: u64,
    /// What a crash left behind the last whole batch.
    pub torn: Option<Torn>,
}

impl Default for Recovered {
    /// What a new log holds.
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            entries: Vec::new(),
            next: FIRST_NUMBER,
            end: FILE_HEADER_BYTES as u64,
            torn: None,
        }
    }
}

/// The unfinished end of a log. Nothing that was ever synced and followed by another batch is
/// in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub at: u64,
    /// Up to its last byte that is not zero.
    pub bytes: u64,
    /// What is wrong with its first batch.
    pub why: Damage,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, bytes, why } = self;
        write!(f, "cut {bytes} bytes of an unfinished write at byte {at}: {why}")
    }
}

/// Reads a log of `length` bytes through `read`, which fills the buffer that it is given
/// from a place in the file.
///
/// The tail is `None` for a file in which nothing was ever synced, not even its header: it
/// is to be written as a new log. A torn end is only reported; whoever goes on writing first
/// fills [`Torn::bytes`] at [`Torn::at`] with zeros, and syncs all that was recovered, as it
/// may have come out of a cache.
///
/// ```text
///   header ─► batch 1 ─► … ─► batch n-1 ─► not batch n
///                                              │ look at all that follows
///                      a later batch says that n was synced ──► refused
///                      nothing but zeros ─────────────────────► the end
///                      anything else ─────────────────────────► the end, and torn
/// ```
///
/// # Errors
/// If the file cannot be read, or is not a log that this program can go on with. Nothing is
/// guessed: the error says what is where, and what to do.
pub fn recover<E>(
    length: u64,
    read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<(Recovered, Option<Tail>), RecoverError<E>> {
    let mut window = Window::new(length, read);
    let mut recovered = Recovered::default();
    let Some(mut tail) = read_front(&mut window, &mut recovered)? else {
        return Ok((recovered, None));
    };
    let damage = loop {
        match read_batch(&mut window, &tail)? {
            Ok(batch) => tail = replay(&tail, batch, &mut recovered)?,
            Err(damage) => break damage,
        }
    };
    let behind = look_behind(&mut window, tail.log_id, tail.position, tail.next)
        .map_err(RecoverError::Read)?;
    recovered.torn = judge(&tail, damage, &behind)?;
    recovered.next = tail.next;
    recovered.end = tail.position;
    Ok((recovered, Some(tail)))
}

/// [`recover`] for bytes in memory.
///
/// # Errors
/// If they are not a log that this program can go on with.
pub fn recover_bytes(bytes: &[u8]) -> Result<(Recovered, Option<Tail>), Refused> {
    let read = |at: u64, into: &mut [u8]| {
        let at = at as usize;
        into.copy_from_slice(&bytes[at..at + into.len()]);
        Ok::<(), Infallible>(())
    };
    recover(bytes.len() as u64, read).map_err(|error| match error {
        RecoverError::Refused(refused) => refused,
        RecoverError::Read(never) => match never {},
    })
}

/// For a fuzzer: any bytes at all end in a result, within bounded memory. What was recovered
/// holds together.
pub fn fuzz_recover(bytes: &[u8]) {
    let Ok((recovered, tail)) = recover_bytes(bytes) else { return };
    assert!(recovered.entries.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    let held: usize = recovered.entries.iter().map(|(_, payload)| payload.len()).sum();
    assert!(held <= bytes.len());
    assert!(tail.is_none_or(|tail| tail.position <= bytes.len() as u64));
}

/// The file's header: `None` if nothing was ever finished here.
fn read_front<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>>(
    window: &mut Window<R>,
    recovered: &mut Recovered,
) -> Result<Option<Tail>, RecoverError<E>> {
    let bytes = window.get(0, FILE_HEADER_BYTES).map_err(RecoverError::Read)?;
    let mut front = [0; FILE_HEADER_BYTES];
    front[..bytes.len()].copy_from_slice(&bytes);
    // A header that was never finished has some of its bytes and zeros for the others.
    if front.iter().zip(MAGIC).any(|(found, magic)| *found != magic && *found != 0) {
        return Err(Refused { at: 0, why: Refusal::Foreign }.into());
    }
    if let Some(header) = format::read_file_header(&front).filter(|_| front[..8] == MAGIC) {
        if header.version != FORMAT_VERSION || header.reserved != (0, 0) {
            let found = header.version.max(FORMAT_VERSION + 1);
            return Err(Refused { at: 8, why: Refusal::Version { found } }.into());
        }
        return Ok(Some(Tail::after_header(header.log_id, header.checksum)));
    }
    // The header is synced before anything follows it.
    let after = FILE_HEADER_BYTES as u64;
    let behind = look_behind(window, 0, after, u64::MAX).map_err(RecoverError::Read)?;
    if behind.bytes > 0 {
        return Err(Refused { at: 0, why: Refusal::FileHeader }.into());
    }
    recovered.torn = front.iter().rposition(|byte| *byte != 0).map(|last| Torn {
        at: 0,
        bytes: last as u64 + 1,
        why: Damage::FileHeader,
    });
    Ok(None)
}

/// A batch whose checksums hold and that follows the one before it.
struct Read {
    header: BatchHeader,
    checksum: u32,
    body: Bytes,
}

fn read_batch<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>>(
    window: &mut Window<R>,
    tail: &Tail,
) -> Result<Result<Read, Damage>, RecoverError<E>> {
    let front = window.get(tail.position, BATCH_HEADER_BYTES).map_err(RecoverError::Read)?;
    let (header, checksum) = match BatchHeader::decode(tail.log_id, &front) {
        Ok(header) => header,
        Err(_) if front.len() < BATCH_HEADER_BYTES => return Ok(Err(Damage::Incomplete)),
        Err(NotAHeader::Mark) => return Ok(Err(Damage::NoBatch)),
        Err(NotAHeader::Checksum) => return Ok(Err(Damage::HeaderChecksum)),
    };
    if header.number != tail.next {
        return Ok(Err(Damage::Number { found: header.number }));
    }
    if header.previous != tail.previous {
        return Ok(Err(Damage::Chain));
    }
    let bytes = format::frame_bytes(header.body_bytes as usize);
    if bytes > BATCH_BYTES {
        return Err(Refused { at: tail.position, why: Refusal::TooLarge { bytes } }.into());
    }
    let frame = window.get(tail.position, bytes).map_err(RecoverError::Read)?;
    if frame.len() < bytes {
        return Ok(Err(Damage::Incomplete));
    }
    let body = frame.slice(BATCH_HEADER_BYTES..);
    if crc32c::crc32c(&body) != header.body_checksum {
        return Ok(Err(Damage::BodyChecksum));
    }
    Ok(Ok(Read { header, checksum, body: body.slice(..header.body_bytes as usize) }))
}

/// Does what a batch says, and gives the tail behind it.
fn replay(tail: &Tail, batch: Read, recovered: &mut Recovered) -> Result<Tail, Refused> {
    let Read { header, checksum, mut body } = batch;
    let mut indexes = tail.indexes;
    let records_at = tail.position + BATCH_HEADER_BYTES as u64;
    let mut records = 0;
    while !body.is_empty() {
        let at = records_at + u64::from(header.body_bytes) - body.len() as u64;
        match Record::decode(&mut body, at)? {
            Record::Set { slot, value } => {
                // A copy: a small value that lives long would hold all that was read with it.
                recovered.slots.insert(slot, Bytes::copy_from_slice(&value));
            }
            Record::Append { index, payload } => {
                indexes = put_entry(indexes, index, payload, recovered)
                    .map_err(|why| Refused { at, why })?;
            }
        }
        records += 1;
    }
    if records != header.records {
        return Err(Refused { at: tail.position, why: Refusal::Malformed });
    }
    Ok(tail.advance(format::frame_bytes(header.body_bytes as usize), checksum, indexes))
}

fn put_entry(
    indexes: Indexes,
    index: u64,
    payload: Bytes,
    recovered: &mut Recovered,
) -> Result<Indexes, Refusal> {
    let Indexes { first, last } = indexes;
    let after = indexes.append(index).ok_or(Refusal::Hole { index, first, last })?;
    // At most the number of entries held, which fits.
    recovered.entries.truncate((index - after.first) as usize);
    recovered.entries.push((index, payload));
    Ok(after)
}

/// Is the place where no batch follows the log's end?
fn judge(tail: &Tail, damage: Damage, behind: &Behind) -> Result<Option<Torn>, Refused> {
    let at = tail.position;
    if let Some((later_at, later)) = behind.later {
        let why = Refusal::Damaged { number: tail.next, damage, later, later_at };
        return Err(Refused { at, why });
    }
    Ok((behind.bytes > 0).then_some(Torn { at, bytes: behind.bytes, why: damage }))
}
