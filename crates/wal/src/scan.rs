//! Reading a file in pieces, and looking through what lies behind the last good batch.

use bytes::Bytes;

use crate::format::{ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader};

/// Bytes that are read at once: memory against calls into the file.
const READ_BYTES: usize = 256 * 1024;

/// A file's bytes, read in larger pieces than they are asked for.
pub(crate) struct Window<R> {
    read: R,
    length: u64,
    at: u64,
    bytes: Bytes,
}

impl<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>> Window<R> {
    pub(crate) fn new(length: u64, read: R) -> Self {
        Self { read, length, at: 0, bytes: Bytes::new() }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The `count` bytes at `at`; fewer where the file ends. What it allocates is bounded by
    /// `READ_BYTES` or `count`, and by what the file holds.
    pub(crate) fn get(&mut self, at: u64, count: usize) -> Result<Bytes, E> {
        let count = self.within(at, count);
        let held = at
            .checked_sub(self.at)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip.checked_add(count).is_some_and(|end| end <= self.bytes.len()));
        if let Some(skip) = held {
            return Ok(self.bytes.slice(skip..skip + count));
        }
        let mut piece = vec![0; self.within(at, count.max(READ_BYTES))];
        (self.read)(at, &mut piece)?;
        self.at = at;
        self.bytes = Bytes::from(piece);
        Ok(self.bytes.slice(..count))
    }

    fn within(&self, at: u64, count: usize) -> usize {
        usize::try_from(self.length.saturating_sub(at)).map_or(count, |left| left.min(count))
    }
}

/// What lies behind the last good batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// From there to one past the last byte that is not zero.
    pub(crate) bytes: u64,
    /// A batch (its place and number) that says that batch `next` was synced.
    pub(crate) later: Option<(u64, u64)>,
}

/// Looks from `from` to the end of the file. A header is proof enough: its checksum covers
/// the log's secret id, so nobody but this log can have written it.
pub(crate) fn look_behind<E, R: FnMut(u64, &mut [u8]) -> Result<(), E>>(
    window: &mut Window<R>,
    log_id: u64,
    from: u64,
    next: u64,
) -> Result<Behind, E> {
    let mut behind = Behind::default();
    let mut at = from;
    while at < window.length() {
        // A header may begin in this piece and end in the next one.
        let piece = window.get(at, READ_BYTES + BATCH_HEADER_BYTES)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            behind.bytes = at + last as u64 + 1 - from;
            behind.later = behind.later.or_else(|| {
                find_later(&piece, log_id, next).map(|(skip, number)| (at + skip as u64, number))
            });
        }
        at += READ_BYTES as u64;
    }
    Ok(behind)
}

fn find_later(piece: &[u8], log_id: u64, next: u64) -> Option<(usize, u64)> {
    let starts = (0..piece.len()).step_by(ALIGNMENT);
    starts.into_iter().find_map(|start| {
        let (header, _) = BatchHeader::decode(log_id, &piece[start..]).ok()?;
        (header.synced >= next).then_some((start, header.number))
    })
}
