//! A base in pieces: for a peer that is too far behind to catch up by its log, and for files.
//!
//! ```text
//!  piece    ┌───────────────┬──────────────┬────────┬───────┬──
//!           │ main revision │ sub revision │ length │ row … │ …
//!           └───────────────┴──────────────┴────────┴───────┴──
//!  summary  ┌──────────┬─────────┬────────┬──────┬───────────┬───────┬────────┬────────┐
//!           │ revision │ compact │ target │ next │ main, sub │ bytes │ length │ note … │
//!           └──────────┴─────────┴────────┴──────┴───────────┴───────┴────────┴────────┘
//! ```
//!
//! Numbers are varints as in protobuf; `next` is 0 or 1, and with 0 no place follows it. Rows are
//! as [`encode`](crate::encode) lays them out.

use api::Bytes;

use crate::base::{Base, Damage, Scrub, Summary};
use crate::draft::SLICE_BYTES;
use crate::encode::{Reader, read_row, varint};
use crate::mark::Revision;

type Result<T> = std::result::Result<T, Damage>;

/// A part of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its rows.
    pub rows: Bytes,
    /// Where the next piece begins; nothing after the last.
    pub next: Option<Revision>,
}

/// Reads a piece of about so many bytes, at least one row if there is one.
///
/// # Errors
/// If the base cannot be read.
pub fn read_piece(base: &dyn Base, from: Revision, bytes: usize) -> Result<Piece> {
    let mut rows = Vec::new();
    for item in base.rows(from) {
        let (at, row) = item?;
        if !rows.is_empty() && rows.len() + row.len() > bytes {
            return Ok(Piece { rows: rows.into(), next: Some(at) });
        }
        varint(at.main.cast_unsigned(), &mut rows);
        varint(at.sub.into(), &mut rows);
        varint(row.len() as u64, &mut rows);
        rows.extend(&row);
    }
    Ok(Piece { rows: rows.into(), next: None })
}

/// Rows in order.
pub type Rows = std::vec::IntoIter<(Revision, Bytes)>;

/// The rows from a place on, up to about so many, and where to read on.
///
/// # Errors
/// If the base cannot be read.
pub fn read_rows(
    base: &dyn Base,
    from: Revision,
    limit: usize,
) -> Result<(Rows, Option<Revision>)> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for item in base.rows(from) {
        let (at, row) = item?;
        if rows.len() >= limit || bytes >= SLICE_BYTES {
            return Ok((rows.into_iter(), Some(at)));
        }
        bytes += row.len();
        rows.push((at, row));
    }
    Ok((rows.into_iter(), None))
}

/// The rows of a piece, in order, each readable: what a peer sends wrong must not get as far as
/// the file. They are parts of it.
///
/// # Errors
/// If it is none.
pub fn rows_of(piece: &Bytes) -> Result<Rows> {
    let mut rows: Vec<(Revision, Bytes)> = Vec::new();
    let mut rest = Reader(piece);
    while !rest.0.is_empty() {
        let mut row = || {
            let main = rest.varint()?.cast_signed();
            let sub = u32::try_from(rest.varint()?).ok()?;
            let len = rest.varint()?;
            Some((Revision { main, sub }, piece.slice_ref(rest.take(len)?)))
        };
        let row = row().ok_or_else(|| Damage("a piece of a snapshot is cut off".into()))?;
        if rows.last().is_some_and(|(last, _)| *last >= row.0) {
            return Err(Damage("a piece of a snapshot is out of order".into()));
        }
        read_row(row.0, row.1.clone())?;
        rows.push(row);
    }
    Ok(rows.into_iter())
}

impl Summary {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { revision, compact_revision, scrub: Scrub { target, next }, bytes, note } = self;
        let mut out = Vec::new();
        for number in [*revision, *compact_revision, *target] {
            varint(number.cast_unsigned(), &mut out);
        }
        varint(next.is_some().into(), &mut out);
        if let Some(Revision { main, sub }) = next {
            varint(main.cast_unsigned(), &mut out);
            varint((*sub).into(), &mut out);
        }
        varint(*bytes, &mut out);
        varint(note.len() as u64, &mut out);
        out.extend(note);
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = Reader(bytes);
        let mut read = || {
            let (revision, compact_revision) = (rest.varint()?, rest.varint()?);
            let target = rest.varint()?.cast_signed();
            let next = match rest.varint()? {
                0 => None,
                1 => Some(Revision {
                    main: rest.varint()?.cast_signed(),
                    sub: u32::try_from(rest.varint()?).ok()?,
                }),
                _ => return None,
            };
            let (bytes, len) = (rest.varint()?, rest.varint()?);
            let note = Bytes::copy_from_slice(rest.take(len)?);
            let (revision, compact_revision) =
                (revision.cast_signed(), compact_revision.cast_signed());
            let scrub = Scrub { target, next };
            rest.0.is_empty().then_some(Self { revision, compact_revision, scrub, bytes, note })
        };
        read().ok_or_else(|| Damage("the summary of a store cannot be read".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_comes_back() {
        for next in [None, Some(Revision { main: 7, sub: u32::MAX })] {
            let summary = Summary {
                revision: i64::MAX,
                compact_revision: -1,
                scrub: Scrub { target: -1, next },
                bytes: 300,
                note: Bytes::from_static(b"note"),
            };
            let bytes = summary.encode();
            assert_eq!(Summary::decode(&bytes), Ok(summary));
            for end in 0..bytes.len() {
                assert!(Summary::decode(&bytes[..end]).is_err(), "cut at {end}");
            }
            assert!(Summary::decode(&[bytes, vec![0]].concat()).is_err());
        }
    }

    #[test]
    fn a_piece_that_is_none_is_refused() {
        let row = |main: u8| vec![main, 0, 5, 0x0a, 1, b'k', 0x18, main];
        assert_eq!(rows_of(&row(3).into()).map(|rows| rows.len()), Ok(1));
        assert!(rows_of(&[row(3), row(3)].concat().into()).is_err(), "twice");
        assert!(rows_of(&[row(3), row(2)].concat().into()).is_err(), "out of order");
        assert!(rows_of(&row(3)[..7].to_vec().into()).is_err(), "cut off");
        let no_row = vec![3, 0, 2, b'a', b'b'];
        assert!(rows_of(&no_row.into()).is_err(), "no row");
        let elsewhere = vec![3, 0, 5, 0x0a, 1, b'k', 0x18, 4];
        assert!(rows_of(&elsewhere.into()).is_err(), "a row of another revision");
        assert!(
            rows_of(&vec![1, 255, 255, 255, 255, 255, 1, 0].into()).is_err(),
            "no sub revision"
        );
    }
}
