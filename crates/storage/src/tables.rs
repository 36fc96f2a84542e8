//! How a generation lies in redb: three tables, and one of no content.
//!
//! ```text
//!  rows     main revision, sub revision    →  row as etcd has it │ CRC-32C
//!           8 bytes        4 bytes, big endian                     of key and row
//!  marks    key …  main revision  sub revision  →  create │ version │ CRC-32C
//!                  8 bytes        4 bytes          8       8 bytes    of key and both
//!  about    "summary"  →  mvcc's summary │ CRC-32C; missing while a generation is being filled
//!  reserve  number     →  zeros, up to a megabyte: room for when there is none
//!           1 byte
//! ```
//!
//! redb verifies its own checksums only when a file was not closed in order. So each value has
//! one of its own, and what a disk forgot is noticed where it is read.

use std::cmp::Ordering;

use bytes::Bytes;
use mvcc::base::Damage;
use mvcc::{Mark, Revision};
use redb::{TableDefinition, TypeName};

/// All tables are of one kind: each other kind would bring redb's code once more.
type Definition = TableDefinition<'static, Key, &'static [u8]>;

pub(crate) const ROWS: Definition = TableDefinition::new("rows");
pub(crate) const MARKS: Definition = TableDefinition::new("marks");
pub(crate) const ABOUT: Definition = TableDefinition::new("about");
pub(crate) const RESERVE: Definition = TableDefinition::new("reserve");

pub(crate) const ABOUT_SUMMARY: &[u8] = b"summary";
/// Inserted and removed again by every change.
pub(crate) const ABOUT_BALLAST: &[u8] = b"ballast";

/// What one row of the reserve takes at the most, and of that its key and lengths: a page of redb's
/// is no larger for them.
pub(crate) const RESERVE_PAGE_BYTES: u64 = 1024 * 1024;
pub(crate) const RESERVE_PAGE_HEAD_BYTES: u64 = 1024;

const PLACE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// A key of the store, which may be empty, and a place: in the order of keys, then of places.
#[derive(Debug)]
pub(crate) struct Key;

impl redb::Value for Key {
    type SelfType<'a> = &'a [u8];
    type AsBytes<'a> = &'a [u8];

    fn fixed_width() -> Option<usize> {
        None
    }

    fn from_bytes<'a>(data: &'a [u8]) -> &'a [u8]
    where
        Self: 'a,
    {
        data
    }

    fn as_bytes<'a, 'b: 'a>(value: &'a &'b [u8]) -> &'a [u8]
    where
        Self: 'b,
    {
        value
    }

    fn type_name() -> TypeName {
        TypeName::new("kvorum::Key")
    }
}

impl redb::Key for Key {
    fn compare(a: &[u8], b: &[u8]) -> Ordering {
        let split = |bytes: &[u8]| bytes.len().saturating_sub(PLACE_BYTES);
        let ((key_a, at_a), (key_b, at_b)) = (a.split_at(split(a)), b.split_at(split(b)));
        key_a.cmp(key_b).then_with(|| at_a.cmp(at_b))
    }
}

/// A place, in the order of places.
pub(crate) fn row_key(at: Revision) -> [u8; PLACE_BYTES] {
    let mut key = [0; PLACE_BYTES];
    // No place is negative, but for the ends of ranges, which are below all.
    key[..8].copy_from_slice(&at.main.max(0).to_be_bytes());
    key[8..].copy_from_slice(&at.sub.to_be_bytes());
    key
}

pub(crate) fn mark_key(key: &[u8], at: Revision) -> Vec<u8> {
    [key, &row_key(at)].concat()
}

/// The place at the end of a key of either table.
pub(crate) fn place_of(key: &[u8]) -> Result<(&[u8], Revision), Damage> {
    let split = key.len().checked_sub(PLACE_BYTES).ok_or_else(|| damaged("a key is too short"))?;
    let (key, place) = key.split_at(split);
    let (mut main, mut sub) = ([0; 8], [0; 4]);
    main.copy_from_slice(&place[..8]);
    sub.copy_from_slice(&place[8..]);
    let at = Revision { main: i64::from_be_bytes(main), sub: u32::from_be_bytes(sub) };
    Ok((key, at))
}

/// A value behind which its checksum goes.
pub(crate) fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &value);
    value.extend(checksum);
    value
}

/// The value in front of a checksum that holds.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Damage> {
    let split = sealed.len().checked_sub(CHECKSUM_BYTES);
    let (value, found) = sealed.split_at(split.ok_or_else(|| damaged("a value is too short"))?);
    match checksum(key, value) == *found {
        true => Ok(value),
        false => Err(damaged("a value does not match its checksum")),
    }
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    crc32c::crc32c_append(crc32c::crc32c(key), value).to_le_bytes()
}

pub(crate) fn seal_mark(key: &[u8], mark: Mark) -> Vec<u8> {
    let value = [mark.create.to_le_bytes(), mark.version.to_le_bytes()].concat();
    seal(key, value)
}

/// The key and the mark of an entry of `marks`.
pub(crate) fn open_mark<'a>(key: &'a [u8], sealed: &[u8]) -> Result<(&'a [u8], Mark), Damage> {
    let value = open(key, sealed)?;
    let (Ok(create), Ok(version)) = (value[..8].try_into(), value[8..].try_into()) else {
        return Err(damaged("a mark has the wrong length"));
    };
    let (key, at) = place_of(key)?;
    let (create, version) = (i64::from_le_bytes(create), i64::from_le_bytes(version));
    Ok((key, Mark { at, create, version }))
}

/// The place and the row of an entry of `rows`.
pub(crate) fn open_row(key: &[u8], sealed: &[u8]) -> Result<(Revision, Bytes), Damage> {
    let row = Bytes::copy_from_slice(open(key, sealed)?);
    Ok((place_of(key)?.1, row))
}

pub(crate) fn damaged(what: &str) -> Damage {
    Damage(format!(
        "the store's file is damaged: {what}. Keep a copy of this directory and replace this member"
    ))
}
