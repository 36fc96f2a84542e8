//! What a file says after a start.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use litemap::LiteMap;

use crate::error::{Damage, RecoverError, Refusal, Refused};
use crate::format::{
    self, BATCH_BYTES, BATCH_HEADER_BYTES, BatchHeader, FORMAT_VERSION, MAGIC, NotAHeader,
    SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::record::{FIRST_NUMBER, Record};
use crate::scan::{Behind, Window, look_behind};
use crate::tail::{Indexes, Tail};

/// What all batches of a log say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The newest value of each slot.
    pub slots: LiteMap<u8, Bytes>,
    /// The entries with their indexes, each one above the one before.
    pub entries: Vec<(u64, Bytes)>,
    /// The number of the next batch.
    pub next: u64,
    /// The segments in use. Those behind them hold nothing.
    pub segments: Vec<Segment>,
    /// Where in the last segment the next batch goes.
    pub end: u64,
    /// What a crash left behind the last whole batch.
    pub torn: Option<Torn>,
}

impl Default for Recovered {
    /// What a new log holds.
    fn default() -> Self {
        Self {
            slots: LiteMap::new(),
            entries: Vec::new(),
            next: FIRST_NUMBER,
            segments: Vec::new(),
            end: 0,
            torn: None,
        }
    }
}

/// What one segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The number of its first batch, or of the one that would be its first.
    pub first: u64,
    /// The highest index of an entry since the last reset, or 0.
    pub highest: u64,
}

/// The unfinished end of a log. Nothing that was ever synced and followed by another batch is
/// in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// In which segment, counted from 0.
    pub segment: usize,
    /// Where it begins.
    pub at: u64,
    /// Up to its last byte that is not zero.
    pub bytes: u64,
    /// What is wrong with its first batch.
    pub why: Damage,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment: _, at, bytes, why } = self;
        write!(
            f,
            "the end of the log was not complete: cut {bytes} bytes of an unfinished write at byte \
             {at}: {why}; nothing of it was acknowledged"
        )
    }
}

/// Reads a log. `lengths` are those of its segments, oldest first; `read` fills the buffer that
/// it is given from a place in one of them.
///
/// The tail is `None` if nothing was ever synced, not even a header: a new log is to be begun
/// in the first segment. A torn end is only reported; whoever goes on writing first fills
/// [`Torn::bytes`] at [`Torn::at`] with zeros, and syncs all that was recovered, as it may have
/// come out of a cache.
///
/// ```text
///   header ─► batch 1 ─► … ─► batch n-1 ─► not batch n
///                                              │ is there another segment?
///                      it begins with n ───────┼──────────► on with it
///                      it begins later ────────┼──────────► refused: n was synced
///                                              │ no: look at all that follows
///                      a later batch says that n was synced ──► refused
///                      nothing but zeros ─────────────────────► the end
///                      anything else ─────────────────────────► the end, and torn
/// ```
///
/// # Errors
/// If a segment cannot be read, or they are no log that this program can go on with. Nothing is
/// guessed: the error says what is where, and what to do.
pub fn recover<E>(
    lengths: &[u64],
    mut read: impl FnMut(usize, u64, &mut [u8]) -> Result<(), E>,
) -> Result<(Recovered, Option<Tail>), RecoverError<E>> {
    let mut recovered = Recovered::default();
    let mut log: Option<Tail> = None;
    let mut fronts = Vec::new();
    for (segment, length) in lengths.iter().enumerate() {
        let mut window = Window::new(*length, |at, into: &mut [u8]| read(segment, at, into));
        let log_id = fronts.last().map(|(header, _): &(SegmentHeader, u32)| header.log_id);
        match read_front(&mut window, segment, log_id)? {
            Front::Begun(header, checksum) if fronts.len() == segment => {
                fronts.push((header, checksum));
            }
            // A segment is begun only when all before it is synced.
            Front::Begun(..) => {
                let why = Refusal::SegmentHeader;
                return Err(Refused { segment: fronts.len(), at: 0, why }.into());
            }
            Front::Torn(torn) => recovered.torn = recovered.torn.or(torn),
        }
    }
    for (segment, front) in fronts.iter().enumerate() {
        let length = lengths[segment];
        let mut window = Window::new(length, |at, into: &mut [u8]| read(segment, at, into));
        let whole = fronts[0].0.first == FIRST_NUMBER;
        let mut replay = Replay { segment, highest: 0, recovered: &mut recovered };
        let mut tail = replay.enter(log.as_ref(), *front)?;
        let damage = loop {
            match replay.read_batch(&mut window, &tail)? {
                Ok(batch) => tail = replay.replay(&tail, batch)?,
                Err(damage) => break damage,
            }
        };
        if segment == 0 && !whole && tail.is_at_front() {
            let why = Refusal::Lost { number: tail.next, damage };
            return Err(Refused { segment, at: tail.position, why }.into());
        }
        let highest = replay.highest;
        recovered.segments.push(Segment { first: front.0.first, highest });
        match fronts.get(segment + 1) {
            Some((next, _)) if next.first > tail.next => {
                let (number, later) = (tail.next, next.first);
                let why = Refusal::Damaged { number, damage, later, later_at: 0 };
                return Err(Refused { segment, at: tail.position, why }.into());
            }
            Some(_) => {}
            None => {
                let behind = look_behind(&mut window, tail.log_id, tail.position, tail.next)
                    .map_err(RecoverError::Read)?;
                let torn = judge(segment, &tail, damage, &behind)?;
                recovered.torn = torn.or(recovered.torn);
            }
        }
        log = Some(tail);
    }
    if let Some(tail) = &log {
        recovered.next = tail.next;
        recovered.end = tail.position;
        check_entries(tail, &recovered)?;
    }
    Ok((recovered, log))
}

/// All entries from the cut on, without a hole: where segments were dropped it shows only now.
fn check_entries(tail: &Tail, recovered: &Recovered) -> Result<(), Refused> {
    let Indexes { first, next } = tail.indexes;
    let mut held = recovered.entries.iter().map(|(index, _)| *index);
    let missing = (first..next).find(|index| held.next() != Some(*index));
    let Some(index) = missing else { return Ok(()) };
    let segment = recovered.segments.len() - 1;
    let why = Refusal::Missing { index };
    Err(Refused { segment, at: tail.position, why })
}

/// [`recover`] for one segment in memory.
///
/// # Errors
/// If it is not a log that this program can go on with.
pub fn recover_bytes(bytes: &[u8]) -> Result<(Recovered, Option<Tail>), Refused> {
    recover_segments(&[bytes])
}

/// [`recover`] for segments in memory.
///
/// # Errors
/// If they are no log that this program can go on with.
pub fn recover_segments(segments: &[&[u8]]) -> Result<(Recovered, Option<Tail>), Refused> {
    let read = |segment: usize, at: u64, into: &mut [u8]| {
        let at = at as usize;
        into.copy_from_slice(&segments[segment][at..at + into.len()]);
        Ok::<(), Infallible>(())
    };
    let lengths: Vec<u64> = segments.iter().map(|segment| segment.len() as u64).collect();
    recover(&lengths, read).map_err(|error| match error {
        RecoverError::Refused(refused) => refused,
        RecoverError::Read(never) => match never {},
    })
}

/// For a fuzzer: any bytes at all end in a result, within bounded memory. What was recovered
/// holds together.
pub fn fuzz_recover(segments: &[&[u8]]) {
    let Ok((recovered, tail)) = recover_segments(segments) else { return };
    assert!(recovered.entries.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    let held: usize = recovered.entries.iter().map(|(_, payload)| payload.len()).sum();
    assert!(held <= segments.iter().map(|segment| segment.len()).sum());
    let Some(tail) = tail else { return };
    let last = recovered.segments.len() - 1;
    assert!(tail.position <= segments[last].len() as u64);
    let (first, last) = (recovered.entries.first(), recovered.entries.last());
    assert!(first.is_none_or(|(first, _)| *first == tail.first_index()));
    assert!(last.is_none_or(|(last, _)| *last == tail.last_index()));
}

/// What is at the front of a segment.
enum Front {
    /// A header, and its checksum.
    Begun(SegmentHeader, u32),
    /// Nothing was ever finished here.
    Torn(Option<Torn>),
}

/// Reads what is at the front of a segment. `log_id` is that of the segments before it.
fn read_front<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>>(
    window: &mut Window<R>,
    segment: usize,
    log_id: Option<u64>,
) -> Result<Front, RecoverError<E>> {
    let refused = |at, why| Err(Refused { segment, at, why }.into());
    let bytes = window.get(0, SEGMENT_HEADER_BYTES).map_err(RecoverError::Read)?;
    let mut front = [0; SEGMENT_HEADER_BYTES];
    front[..bytes.len()].copy_from_slice(&bytes);
    if let Some((header, checksum)) = SegmentHeader::decode(&front) {
        if header.version != FORMAT_VERSION || header.reserved != 0 {
            let found = header.version.max(FORMAT_VERSION + 1);
            return refused(8, Refusal::Version { found });
        }
        return Ok(Front::Begun(header, checksum));
    }
    // Of a log's first file nobody knows whose it is. A header that was never finished has some
    // of its bytes and zeros for the others.
    let ours = |(found, magic): (&u8, u8)| *found == magic || *found == 0;
    if log_id.is_none() && !front.iter().zip(MAGIC).all(ours) {
        return refused(0, Refusal::Foreign);
    }
    // The header is synced before anything follows it. Behind one that was not, a crash may have
    // left anything, but no batch of this log.
    let after = SEGMENT_HEADER_BYTES as u64;
    let behind = look_behind(window, log_id.unwrap_or(0), after, 0).map_err(RecoverError::Read)?;
    if behind.later.is_some() || (log_id.is_none() && behind.bytes > 0) {
        return refused(0, Refusal::SegmentHeader);
    }
    let last = front.iter().rposition(|byte| *byte != 0).map(|last| last as u64 + 1);
    let bytes = if behind.bytes > 0 { after + behind.bytes } else { last.unwrap_or(0) };
    let why = Damage::SegmentHeader;
    Ok(Front::Torn((bytes > 0).then_some(Torn { segment, at: 0, bytes, why })))
}

/// A batch whose checksums hold and that follows the one before it.
struct Read {
    header: BatchHeader,
    checksum: u32,
    body: Bytes,
}

/// One segment's batches, as they are read and done.
struct Replay<'a> {
    segment: usize,
    /// The highest index of an entry so far.
    highest: u64,
    recovered: &'a mut Recovered,
}

impl Replay<'_> {
    fn refused(&self, at: u64, why: Refusal) -> Refused {
        Refused { segment: self.segment, at, why }
    }

    /// The tail behind the segment's header, if it continues the log before it.
    fn enter(
        &self,
        log: Option<&Tail>,
        (header, checksum): (SegmentHeader, u32),
    ) -> Result<Tail, Refused> {
        // Without a cut that says where entries begin, none may be missing.
        let mut indexes = Indexes { first: header.entry.min(1), next: header.entry };
        if let Some(log) = log {
            let (found, expected) = (header.first, log.next);
            let same = header.log_id == log.log_id
                && header.previous == log.previous
                && header.entry == log.indexes.next;
            if found != expected || !same {
                return Err(self.refused(24, Refusal::Segment { found, expected }));
            }
            indexes = log.indexes;
        }
        let position = SEGMENT_HEADER_BYTES as u64;
        let SegmentHeader { log_id, first: next, .. } = header;
        Ok(Tail { log_id, position, next, previous: checksum, indexes })
    }

    fn read_batch<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>>(
        &self,
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
            return Err(self.refused(tail.position, Refusal::TooLarge { bytes }).into());
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
    fn replay(&mut self, tail: &Tail, batch: Read) -> Result<Tail, Refused> {
        let Read { header, checksum, mut body } = batch;
        let mut indexes = tail.indexes;
        let records_at = tail.position + BATCH_HEADER_BYTES as u64;
        let mut records = 0;
        while !body.is_empty() {
            let at = records_at + u64::from(header.body_bytes) - body.len() as u64;
            let record = Record::decode(&mut body).map_err(|why| self.refused(at, why))?;
            indexes = self.record(indexes, record).map_err(|why| self.refused(at, why))?;
            records += 1;
        }
        if records != header.records {
            return Err(self.refused(tail.position, Refusal::Malformed));
        }
        Ok(tail.advance(format::frame_bytes(header.body_bytes as usize), checksum, indexes))
    }

    fn record(&mut self, indexes: Indexes, record: Record) -> Result<Indexes, Refusal> {
        let Indexes { first, .. } = indexes;
        let hole = |index| Refusal::Hole { index, first, last: indexes.last() };
        let entries = &mut self.recovered.entries;
        match record {
            Record::Set { slot, value } => {
                // A copy: a small value that lives long would hold all that was read with it.
                self.recovered.slots.insert(slot, Bytes::copy_from_slice(&value));
                Ok(indexes)
            }
            Record::Append { index, payload } => {
                let after = indexes.append(index).ok_or_else(|| hole(index))?;
                entries.truncate(entries.partition_point(|(held, _)| *held < index));
                entries.push((index, payload));
                self.highest = self.highest.max(index);
                Ok(after)
            }
            Record::Cut { index } => {
                let after = indexes.cut(index).ok_or_else(|| hole(index))?;
                let gone = entries.partition_point(|(held, _)| *held < index);
                entries.drain(..gone);
                Ok(after)
            }
            Record::Reset { index } => {
                let after = indexes.reset(index).ok_or_else(|| hole(index))?;
                entries.clear();
                self.highest = 0;
                self.recovered.segments.iter_mut().for_each(|segment| segment.highest = 0);
                Ok(after)
            }
        }
    }
}

/// Is the place where no batch follows the log's end?
fn judge(
    segment: usize,
    tail: &Tail,
    damage: Damage,
    behind: &Behind,
) -> Result<Option<Torn>, Refused> {
    let at = tail.position;
    if let Some((later_at, later)) = behind.later {
        let why = Refusal::Damaged { number: tail.next, damage, later, later_at };
        return Err(Refused { segment, at, why });
    }
    Ok((behind.bytes > 0).then_some(Torn { segment, at, bytes: behind.bytes, why: damage }))
}
