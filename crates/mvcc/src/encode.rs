//! Rows as bytes, laid out as etcd lays them out: for sizes and hashes that can be compared
//! with etcd's.
//!
//! ```text
//!  row key    8 bytes main, big endian │ '_' │ 8 bytes sub, big endian │ 't' if a deletion
//!  row value  mvccpb.KeyValue: 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value,
//!             6 lease; what is zero or empty is left out
//! ```

use api::kv::KeyValue;

use crate::rows::{Revision, is_tombstone};

/// Bytes of a row's key, without the mark of a deletion.
const ROW_KEY_BYTES: usize = 17;

/// Bytes of a row, key and value.
pub(crate) fn row_bytes(row: &KeyValue) -> u64 {
    let key = ROW_KEY_BYTES + usize::from(is_tombstone(row));
    (key + kv_bytes(row)) as u64
}

/// Appends a row, key and value.
pub(crate) fn row(at: Revision, row: &KeyValue, out: &mut Vec<u8>) {
    out.extend(at.main.to_be_bytes());
    out.push(b'_');
    out.extend(i64::from(at.sub).to_be_bytes());
    if is_tombstone(row) {
        out.push(b't');
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

fn varint(mut value: u64, out: &mut Vec<u8>) {
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
    use crate::Store;

    #[test]
    fn the_size_of_a_row_is_the_length_of_its_encoding() {
        let mut store = Store::new();
        let mut put = |key: &'static [u8], value: Vec<u8>| {
            let request = api::kv::PutRequest {
                key: key.into(),
                value: value.into(),
                ..api::kv::PutRequest::default()
            };
            store.put(&request).unwrap();
        };
        put(b"a", vec![]);
        put(b"a", vec![1; 127]);
        put(b"bc", vec![1; 128]);
        put(b"bc", vec![1; 70_000]);
        let delete = api::kv::DeleteRangeRequest {
            key: b"a".as_slice().into(),
            range_end: b"\0".as_slice().into(),
            prev_kv: false,
        };
        store.delete_range(&delete).unwrap();
        let mut bytes = Vec::new();
        for (at, written) in store.rows.scan(0, i64::MAX) {
            row(at, written, &mut bytes);
        }
        assert_eq!(bytes.len() as u64, store.bytes());
    }

    /// The format is etcd's: what it writes for these rows, byte by byte.
    #[test]
    fn rows_are_laid_out_as_etcd_does() {
        let put = KeyValue {
            key: b"a".as_slice().into(),
            create_revision: 2,
            mod_revision: 300,
            version: 5,
            value: b"v".as_slice().into(),
            lease: -1,
        };
        let mut bytes = Vec::new();
        row(Revision { main: 300, sub: 1 }, &put, &mut bytes);
        let key = b"\0\0\0\0\0\0\x01\x2c_\0\0\0\0\0\0\0\x01";
        let value = b"\x0a\x01a\x10\x02\x18\xac\x02\x20\x05\x2a\x01v";
        let lease = b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(bytes, [&key[..], value, lease].concat());

        let delete = KeyValue { mod_revision: 2, key: b"a".as_slice().into(), ..<_>::default() };
        bytes.clear();
        row(Revision::first(2), &delete, &mut bytes);
        assert_eq!(bytes, b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0t\x0a\x01a");
    }
}
