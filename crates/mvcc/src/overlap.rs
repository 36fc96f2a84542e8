//! A transaction may not write one key twice. The rules are etcd's, gaps included:
//!
//! ```text
//!  put k, put k                         refused
//!  put k, delete a range with k         refused, in any order
//!  delete twice                         allowed
//!  [then: put k] [else: put k]          allowed: only one of them runs
//!  [nested: put k], put k               refused
//!  [nested: delete k], [nested: put k]  refused; the other way round allowed, as siblings are
//!                                       looked at in order
//!  put k, delete from a key on          allowed: etcd compares the end as if it were the key \0
//! ```

use api::kv::{RequestOp, TxnRequest};
use api::{Error, Result};

/// Refuses operations of which some path writes one key twice.
pub(crate) fn check(ops: &[RequestOp]) -> Result<()> {
    writes(ops).map(|_| ())
}

/// What operations write, whichever way their guards go.
#[derive(Default)]
struct Writes<'a> {
    puts: Puts<'a>,
    deletes: Deletes<'a>,
}

fn writes(ops: &[RequestOp]) -> Result<Writes<'_>> {
    let mut all = Writes::default();
    // Deletions first: a nested put must see those that stand after it, too.
    for op in ops {
        if let RequestOp::DeleteRange(delete) = op {
            all.deletes.insert(&delete.key, &delete.range_end);
        }
    }
    for op in ops {
        if let RequestOp::Txn(txn) = op {
            all.add_nested(txn)?;
        }
    }
    for op in ops {
        if let RequestOp::Put(put) = op
            && (!all.puts.insert(&put.key) || all.deletes.contains(&put.key))
        {
            return Err(Error::DuplicateKey);
        }
    }
    Ok(all)
}

impl<'a> Writes<'a> {
    fn add_nested(&mut self, txn: &'a TxnRequest) -> Result<()> {
        let success = writes(&txn.success)?;
        let failure = writes(&txn.failure)?;
        let mut puts = success.puts;
        for key in failure.puts.0 {
            puts.insert(key);
        }
        for key in puts.0 {
            if !self.puts.insert(key) || self.deletes.contains(key) {
                return Err(Error::DuplicateKey);
            }
        }
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }
}

/// Keys that are put, in order.
#[derive(Default)]
struct Puts<'a>(Vec<&'a [u8]>);

impl<'a> Puts<'a> {
    /// False if it is there already.
    fn insert(&mut self, key: &'a [u8]) -> bool {
        let place = self.0.binary_search(&key);
        if let Err(at) = place {
            self.0.insert(at, key);
        }
        place.is_err()
    }
}

/// Deleted ranges, merged, so that a key is looked up in one step.
///
/// Invariant: in order of their starts; start < end, and no two of them touch.
#[derive(Default)]
struct Deletes<'a>(Vec<(&'a [u8], End<'a>)>);

/// Where a deleted range ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End<'a> {
    /// Right after the key that it begins with.
    One(&'a [u8]),
    /// Before this key.
    Before(&'a [u8]),
}

impl<'a> End<'a> {
    /// True if `key` lies before the end.
    fn is_after(self, key: &[u8]) -> bool {
        match self {
            End::One(only) => key <= only,
            End::Before(end) => key < end,
        }
    }

    /// The later of two ends.
    fn max(self, other: Self) -> Self {
        let reaches = match other {
            // Both ends of a range compare by the first key that they leave out.
            End::One(only) => self.is_after(only),
            End::Before(end) => match self {
                End::Before(mine) => mine >= end,
                End::One(only) => only >= end,
            },
        };
        if reaches { self } else { other }
    }
}

impl<'a> Deletes<'a> {
    fn insert(&mut self, key: &'a [u8], range_end: &'a [u8]) {
        match range_end {
            [] => self.merge(key, End::One(key)),
            end if key < end => self.merge(key, End::Before(end)),
            // Holds nothing; so does, here, the range to the end of all keys: its end is \0.
            _ => {}
        }
    }

    fn extend(&mut self, other: Self) {
        for (start, end) in other.0 {
            self.merge(start, end);
        }
    }

    fn merge(&mut self, mut start: &'a [u8], mut end: End<'a>) {
        if let Some((before, its_end)) = self.covering(start) {
            start = before;
            end = end.max(its_end);
        }
        let first = self.0.partition_point(|(other, _)| *other < start);
        let mut last = first;
        while let Some((next, its_end)) = self.0.get(last)
            && end.is_after(next)
        {
            end = end.max(*its_end);
            last += 1;
        }
        self.0.splice(first..last, [(start, end)]);
    }

    /// The deleted range that holds `key`.
    fn covering(&self, key: &[u8]) -> Option<(&'a [u8], End<'a>)> {
        let count = self.0.partition_point(|(start, _)| *start <= key);
        let (start, end) = *self.0[..count].last()?;
        end.is_after(key).then_some((start, end))
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.covering(key).is_some()
    }
}
