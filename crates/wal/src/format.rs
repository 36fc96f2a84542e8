//! The two headers, byte by byte. `docs/format.md` has the pictures; all numbers are
//! little-endian.

/// The format that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The header at the front of each segment. The segment's first batch follows it.
pub const SEGMENT_HEADER_BYTES: usize = 48;

/// The largest batch, header and padding included: it has to fit into memory at once, in a
/// browser too. Checked when it is written and when it is read.
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The first bytes of every segment.
pub(crate) const MAGIC: [u8; 8] = *b"KVRMLOG\n";

/// The header in front of a batch's records.
pub(crate) const BATCH_HEADER_BYTES: usize = 40;

/// Batches begin at multiples of this, so a search for one need not look everywhere.
pub(crate) const ALIGNMENT: usize = 8;

/// The first bytes of every batch.
const MARK: [u8; 4] = *b"KvBt";

/// What a batch with this many bytes of records takes in the log.
pub(crate) fn frame_bytes(body: usize) -> usize {
    BATCH_HEADER_BYTES + body.next_multiple_of(ALIGNMENT)
}

/// What is at the front of a segment: a file with a part of the log.
///
/// `log_id` is drawn at random for each log: it goes into every batch's checksum, so bytes of
/// another log, or bytes that a client chose, never look like a batch of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u32,
    /// The checksum in the header of the batch before the segment's first one; 0 for the log's
    /// first segment.
    pub(crate) previous: u32,
    pub(crate) log_id: u64,
    /// The number of the segment's first batch. Every batch before it was synced when this
    /// header was written.
    pub(crate) first: u64,
    /// The index where the next entry went then; 0 if there was no entry and no cut. Entries below
    /// it are in segments before this one, unless they are cut off.
    pub(crate) entry: u64,
    /// Zero in version 1.
    pub(crate) reserved: u32,
}

/// Where every version keeps a segment header's checksum.
const SEGMENT_CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;

impl SegmentHeader {
    pub(crate) fn new(log_id: u64, first: u64, entry: u64, previous: u32) -> Self {
        Self { version: FORMAT_VERSION, previous, log_id, first, entry, reserved: 0 }
    }

    /// Its bytes and, beside it, its checksum: the first batch's `previous`.
    pub(crate) fn encode(&self) -> ([u8; SEGMENT_HEADER_BYTES], u32) {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&self.version.to_le_bytes());
        header[12..16].copy_from_slice(&self.previous.to_le_bytes());
        header[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        header[24..32].copy_from_slice(&self.first.to_le_bytes());
        header[32..40].copy_from_slice(&self.entry.to_le_bytes());
        header[40..44].copy_from_slice(&self.reserved.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..SEGMENT_CHECKSUM_AT]);
        header[SEGMENT_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        (header, checksum)
    }

    /// Reads a header, and its checksum beside it. `None` if the checksum does not hold.
    pub(crate) fn decode(header: &[u8; SEGMENT_HEADER_BYTES]) -> Option<(Self, u32)> {
        let checksum = u32_at(header, SEGMENT_CHECKSUM_AT);
        let holds = crc32c::crc32c(&header[..SEGMENT_CHECKSUM_AT]) == checksum;
        (holds && header[..8] == MAGIC).then(|| {
            let read = Self {
                version: u32_at(header, 8),
                previous: u32_at(header, 12),
                log_id: u64_at(header, 16),
                first: u64_at(header, 24),
                entry: u64_at(header, 32),
                reserved: u32_at(header, 40),
            };
            (read, checksum)
        })
    }
}

/// What is in front of a batch's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Bytes of records, without the padding.
    pub(crate) body_bytes: u32,
    pub(crate) number: u64,
    /// Every batch up to this number was synced when this one was written.
    /// Invariant: synced < number.
    pub(crate) synced: u64,
    pub(crate) records: u32,
    /// The checksum in the header of the batch before.
    pub(crate) previous: u32,
    /// Of the records and their padding.
    pub(crate) body_checksum: u32,
}

/// Why bytes are not a batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAHeader {
    Mark,
    Checksum,
}

impl BatchHeader {
    /// Its bytes, the last four of which are its checksum.
    pub(crate) fn encode(&self, log_id: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[..4].copy_from_slice(&MARK);
        bytes[4..8].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.records.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.previous.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body_checksum.to_le_bytes());
        let checksum = header_checksum(log_id, &bytes);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header, and its checksum beside it.
    pub(crate) fn decode(log_id: u64, bytes: &[u8]) -> Result<(Self, u32), NotAHeader> {
        if bytes.len() < BATCH_HEADER_BYTES || bytes[..4] != MARK {
            return Err(NotAHeader::Mark);
        }
        let checksum = u32_at(bytes, 36);
        if header_checksum(log_id, bytes) != checksum {
            return Err(NotAHeader::Checksum);
        }
        let header = Self {
            body_bytes: u32_at(bytes, 4),
            number: u64_at(bytes, 8),
            synced: u64_at(bytes, 16),
            records: u32_at(bytes, 24),
            previous: u32_at(bytes, 28),
            body_checksum: u32_at(bytes, 32),
        };
        Ok((header, checksum))
    }
}

/// It covers the body's checksum, and through `previous` all that came before: one number
/// that stands for the whole log up to here.
fn header_checksum(log_id: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&log_id.to_le_bytes()), &bytes[..36])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
