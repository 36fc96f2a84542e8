//! Rows as bytes, laid out as etcd lays them out: for sizes and hashes that can be compared
//! with etcd's.
//!
//! ```text
//!  row key    8 bytes main, big endian │ '_' │ 8 bytes sub, big endian │ 't' if a deletion
//!  row value  mvccpb.KeyValue: 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value,
//!             6 lease; what is zero or empty is left out
//! ```

use api::Bytes;
use api::kv::KeyValue;

use crate::base::Damage;
use crate::mark::{Mark, Revision, is_tombstone};

/// Bytes of a row's key, without the mark of a deletion.
const ROW_KEY_BYTES: usize = 17;

/// Bytes of a row, key and value.
pub(crate) fn row_bytes(row: &KeyValue) -> u64 {
    let key = ROW_KEY_BYTES + usize::from(is_tombstone(row));
    (key + kv_bytes(row)) as u64
}

/// Bytes of a row whose value has `len` bytes, its key included.
pub(crate) fn stored_bytes(len: usize, mark: Mark) -> u64 {
    (ROW_KEY_BYTES + usize::from(!mark.is_live()) + len) as u64
}

/// Appends a row's key.
pub(crate) fn row_key(mark: Mark, out: &mut Vec<u8>) {
    out.extend(mark.at.main.to_be_bytes());
    out.push(b'_');
    out.extend(i64::from(mark.at.sub).to_be_bytes());
    if !mark.is_live() {
        out.push(b't');
    }
}

/// Appends a row's value.
pub(crate) fn row_value(row: &KeyValue, out: &mut Vec<u8>) {
    if is_tombstone(row) {
        // A deletion's value names the key alone.
        bytes_field(1, &row.key, out);
        return;
    }
    let KeyValue { key, create_revision, mod_revision, version, value, lease } = row;
    bytes_field(1, key, out);
    int_field(2, *create_revision, out);
    int_field(3, *mod_revision, out);
    int_field(4, *version, out);
    bytes_field(5, value, out);
    int_field(6, *lease, out);
}

/// Reads a row's value. Key and value are parts of `bytes`.
pub(crate) fn read_row(at: Revision, bytes: Bytes) -> Result<KeyValue, Damage> {
    let damaged = |what: &str| {
        let Revision { main, sub } = at;
        Damage(format!("the change at revision {main}.{sub} cannot be read: {what}"))
    };
    let mut row = KeyValue { mod_revision: at.main, ..KeyValue::default() };
    let mut rest = Reader(&bytes);
    while !rest.0.is_empty() {
        let tag = rest.varint().ok_or_else(|| damaged("a number is cut off"))?;
        let number = rest.varint().ok_or_else(|| damaged("a number is cut off"))?;
        match tag {
            0x0a | 0x2a => {
                let field = rest.take(number).ok_or_else(|| damaged("a field is cut off"))?;
                let place = if tag == 0x0a { &mut row.key } else { &mut row.value };
                *place = bytes.slice_ref(field);
            }
            0x10 => row.create_revision = number.cast_signed(),
            0x18 => row.mod_revision = number.cast_signed(),
            0x20 => row.version = number.cast_signed(),
            0x30 => row.lease = number.cast_signed(),
            _ => return Err(damaged("it has a field that no row has")),
        }
    }
    match row.key.is_empty() || row.mod_revision != at.main {
        true => Err(damaged("it is of another place")),
        false => Ok(row),
    }
}

/// What is left to be read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(field)
    }
}

fn kv_bytes(row: &KeyValue) -> usize {
    let KeyValue { key, create_revision, mod_revision, version, value, lease } = row;
    if is_tombstone(row) {
        return bytes_len(key);
    }
    let ints = [*create_revision, *mod_revision, *version, *lease];
    bytes_len(key) + bytes_len(value) + ints.into_iter().map(int_len).sum::<usize>()
}

fn bytes_field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.push(number << 3 | 2);
        varint(bytes.len() as u64, out);
        out.extend(bytes);
    }
}

fn int_field(number: u8, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(number << 3);
        varint(value.cast_unsigned(), out);
    }
}

pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes of a protobuf field of bytes, tag (of a field below 16) and length included.
pub(crate) fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { nested_len(bytes.len()) }
}

/// Bytes of a protobuf message in a field, by the bytes of what is in it. It may be empty.
pub(crate) fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Bytes of a protobuf field of an integer, tag (of a field below 16) included.
pub(crate) fn int_len(value: i64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value.cast_unsigned()) }
}

fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(at: Revision, row: &KeyValue) -> Vec<u8> {
        let mut bytes = Vec::new();
        row_key(Mark::of(at, row), &mut bytes);
        row_value(row, &mut bytes);
        bytes
    }

    fn pair(value: Vec<u8>) -> KeyValue {
        KeyValue {
            key: b"bc".as_slice().into(),
            create_revision: 2,
            mod_revision: 300,
            version: 5,
            value: value.into(),
            lease: -1,
        }
    }

    #[test]
    fn a_row_comes_back_as_it_went_and_has_the_size_of_its_encoding() {
        let at = Revision { main: 300, sub: 7 };
        let deleted =
            KeyValue { key: b"bc".as_slice().into(), mod_revision: 300, ..KeyValue::default() };
        let lengths = [0, 1, 127, 128, 70_000];
        for row in lengths.map(|len| pair(vec![1; len])).into_iter().chain([deleted]) {
            let mut value = Vec::new();
            row_value(&row, &mut value);
            assert_eq!(encoded(at, &row).len() as u64, row_bytes(&row));
            assert_eq!(stored_bytes(value.len(), Mark::of(at, &row)), row_bytes(&row));
            assert_eq!(read_row(at, value.clone().into()), Ok(row.clone()));
            // Of a cut row nothing is believed.
            value.pop();
            assert_ne!(read_row(at, value.into()).ok(), Some(row));
        }
        assert!(read_row(at, Bytes::from_static(b"\x0a\x01")).is_err());
        assert!(read_row(at, Bytes::from_static(b"\xff\xff")).is_err());
        assert!(read_row(Revision::first(3), encoded(at, &pair(vec![])).into()).is_err());
    }

    /// The format is etcd's: what it writes for these rows, byte by byte.
    #[test]
    fn rows_are_laid_out_as_etcd_does() {
        let put = KeyValue { key: b"a".as_slice().into(), ..pair(b"v".to_vec()) };
        let key = b"\0\0\0\0\0\0\x01\x2c_\0\0\0\0\0\0\0\x01";
        let value = b"\x0a\x01a\x10\x02\x18\xac\x02\x20\x05\x2a\x01v";
        let lease = b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let at = Revision { main: 300, sub: 1 };
        assert_eq!(encoded(at, &put), [&key[..], value, lease].concat());

        let delete = KeyValue { mod_revision: 2, key: b"a".as_slice().into(), ..<_>::default() };
        let bytes = encoded(Revision::first(2), &delete);
        assert_eq!(bytes, b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0t\x0a\x01a");
    }
}
