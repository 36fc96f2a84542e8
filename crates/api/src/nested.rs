//! Reads transactions, which hold transactions, to a depth of [`TXN_DEPTH`] and no deeper: a few
//! megabytes of bytes could otherwise nest a million of them and overflow the reader's stack.
//!
//! By hand what derive would make, with the depth that is left handed down. Bytes are the same.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, SeqAccess, VariantAccess, Visitor,
};

use crate::kv::{RequestOp, ResponseOp, TxnRequest, TxnResponse};
use crate::limits::TXN_DEPTH;

/// Which operation follows, in the order of [`RequestOp`] and [`ResponseOp`].
#[derive(Deserialize)]
#[serde(variant_identifier)]
enum Kind {
    Range,
    Put,
    DeleteRange,
    Txn,
}

const KINDS: &[&str] = &["Range", "Put", "DeleteRange", "Txn"];

/// Reads a `T` that may hold this many more transactions inside of each other.
struct Within<T> {
    depth: usize,
    made: std::marker::PhantomData<T>,
}

fn within<T>(depth: usize) -> Within<T> {
    Within { depth, made: std::marker::PhantomData }
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| Error::custom("a transaction is cut off"))
}

fn next_within<'de, A, T>(seq: &mut A, depth: usize) -> Result<T, A::Error>
where
    A: SeqAccess<'de>,
    Within<T>: DeserializeSeed<'de, Value = T>,
{
    seq.next_element_seed(within(depth))?.ok_or_else(|| Error::custom("a transaction is cut off"))
}

/// The depth inside, unless there is none.
fn deeper<E: Error>(depth: usize) -> Result<usize, E> {
    depth.checked_sub(1).ok_or_else(|| E::custom("transactions are nested too deeply"))
}

macro_rules! operations {
    ($op:ident, $txn:ident, [$($field:literal),*], |$seq:ident, $depth:ident| $read:expr) => {
        impl<'de> Deserialize<'de> for $txn {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                within::<$txn>(TXN_DEPTH).deserialize(from)
            }
        }

        impl<'de> DeserializeSeed<'de> for Within<$txn> {
            type Value = $txn;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$txn, D::Error> {
                from.deserialize_struct(stringify!($txn), &[$($field),*], self)
            }
        }

        impl<'de> Visitor<'de> for Within<$txn> {
            type Value = $txn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transaction")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut $seq: A) -> Result<$txn, A::Error> {
                let $depth = self.depth;
                $read
            }
        }

        impl<'de> DeserializeSeed<'de> for Within<Vec<$op>> {
            type Value = Vec<$op>;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<$op>, D::Error> {
                from.deserialize_seq(self)
            }
        }

        impl<'de> Visitor<'de> for Within<Vec<$op>> {
            type Value = Vec<$op>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("operations")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<$op>, A::Error> {
                let mut ops = Vec::new();
                while let Some(op) = seq.next_element_seed(within::<$op>(self.depth))? {
                    ops.push(op);
                }
                Ok(ops)
            }
        }

        impl<'de> DeserializeSeed<'de> for Within<$op> {
            type Value = $op;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$op, D::Error> {
                from.deserialize_enum(stringify!($op), KINDS, self)
            }
        }

        impl<'de> Visitor<'de> for Within<$op> {
            type Value = $op;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an operation")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<$op, A::Error> {
                let (kind, content) = from.variant()?;
                Ok(match kind {
                    Kind::Range => $op::Range(content.newtype_variant()?),
                    Kind::Put => $op::Put(content.newtype_variant()?),
                    Kind::DeleteRange => $op::DeleteRange(content.newtype_variant()?),
                    Kind::Txn => {
                        let inside = within::<$txn>(deeper(self.depth)?);
                        $op::Txn(content.newtype_variant_seed(inside)?)
                    }
                })
            }
        }
    };
}

operations!(RequestOp, TxnRequest, ["compare", "success", "failure"], |seq, depth| {
    let compare = next(&mut seq)?;
    let success = next_within(&mut seq, depth)?;
    let failure = next_within(&mut seq, depth)?;
    Ok(TxnRequest { compare, success, failure })
});

operations!(ResponseOp, TxnResponse, ["header", "succeeded", "responses"], |seq, depth| {
    let header = next(&mut seq)?;
    let succeeded = next(&mut seq)?;
    let responses = next_within(&mut seq, depth)?;
    Ok(TxnResponse { header, succeeded, responses })
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{decode_body, encode_body};

    fn request(depth: usize) -> TxnRequest {
        let mut txn = TxnRequest::default();
        for _ in 0..depth {
            let (success, failure) =
                (vec![RequestOp::Txn(txn)], vec![RequestOp::Put(Default::default())]);
            txn = TxnRequest { success, failure, ..Default::default() };
        }
        txn
    }

    #[test]
    fn transactions_are_read_down_to_the_limit() {
        let deepest = request(TXN_DEPTH);
        assert_eq!(decode_body(&encode_body(&deepest)), Ok(deepest));
        let deeper = encode_body(&request(TXN_DEPTH + 1));
        assert!(decode_body::<TxnRequest>(&deeper).is_err());
    }

    #[test]
    fn answers_are_read_down_to_the_limit() {
        let nest = |depth| {
            (0..depth).fold(TxnResponse::default(), |txn, _| {
                let responses = vec![ResponseOp::Range(Default::default()), ResponseOp::Txn(txn)];
                TxnResponse { responses, succeeded: true, ..Default::default() }
            })
        };
        let deepest = nest(TXN_DEPTH);
        assert_eq!(decode_body(&encode_body(&deepest)), Ok(deepest));
        assert!(decode_body::<TxnResponse>(&encode_body(&nest(TXN_DEPTH + 1))).is_err());
    }

    #[test]
    fn a_million_of_them_are_refused_and_overflow_nothing() {
        let mut bytes = [0, 1, 3].repeat(1_000_000);
        bytes.extend(vec![0; 1_000_003]);
        assert!(decode_body::<TxnRequest>(&bytes).is_err());
    }
}
