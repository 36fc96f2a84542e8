//! A file's keys, put into a new cluster: what goes together, and whether it is in.
//!
//! Each transaction puts keys that are not there yet. One whose answer was lost, or whose file was
//! begun before, finds them there: that is as good, if they have the file's values.

use api::Bytes;
use api::kv::{
    Compare, CompareResult, CompareTarget, PutRequest, RangeRequest, RequestOp, ResponseOp,
    TxnRequest, TxnResponse,
};
use api::limits::{REQUEST_BYTES, TXN_OPS};

use crate::rules::{bytes, text};

/// Keys and values of one transaction; a single pair may be larger.
const BATCH_BYTES: usize = REQUEST_BYTES / 2;

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Pairs that wait to be put.
#[derive(Default)]
pub struct Waiting(Vec<Pair>);

impl Waiting {
    /// More of them.
    pub fn push(&mut self, pairs: Vec<Pair>) {
        self.0.extend(pairs);
    }

    /// The next that go together; if not `all`, only as many as fill a transaction.
    pub fn next(&mut self, all: bool) -> Option<Vec<Pair>> {
        let mut size = 0;
        let fits = |(key, value): &&Pair| {
            size += key.len() + value.len();
            size <= BATCH_BYTES
        };
        let count = self.0.iter().take(TXN_OPS).take_while(fits).count();
        let full = count == TXN_OPS || count < self.0.len();
        match self.0.is_empty() {
            false if full || all => Some(self.0.drain(..count.max(1)).collect()),
            _ => None,
        }
    }
}

/// Puts those that are not there, or reads what is.
pub fn txn(pairs: &[Pair]) -> TxnRequest {
    let absent = |(key, _): &Pair| Compare {
        result: CompareResult::Equal,
        target: CompareTarget::Version(0),
        key: key.clone(),
        range_end: Bytes::new(),
    };
    let put = |(key, value): &Pair| {
        let (key, value) = (key.clone(), value.clone());
        RequestOp::Put(PutRequest { key, value, ..PutRequest::default() })
    };
    let read = |(key, _): &Pair| {
        RequestOp::Range(RangeRequest { key: key.clone(), ..RangeRequest::default() })
    };
    TxnRequest {
        compare: pairs.iter().map(absent).collect(),
        success: pairs.iter().map(put).collect(),
        failure: pairs.iter().map(read).collect(),
    }
}

/// Whether the pairs are in. The error is a sentence.
pub fn are_in(pairs: &[Pair], answer: &TxnResponse) -> Result<(), String> {
    if answer.succeeded {
        return Ok(());
    }
    for ((key, value), found) in pairs.iter().zip(&answer.responses) {
        let ResponseOp::Range(found) = found else { continue };
        let is = found.kvs.first().map(|kv| &kv.value);
        if is != Some(value) {
            let name = text::short(&bytes::readable_key(key).text);
            let how = if is.is_some() { "has another value" } else { "was deleted" };
            return Err(format!("Somebody else changes this cluster: “{name}” {how} by now."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kv::{KeyValue, RangeResponse};

    fn pair(n: usize, size: usize) -> Pair {
        (format!("k{n}").into(), vec![0; size].into())
    }

    #[test]
    fn a_transaction_is_as_large_as_the_limits_allow() {
        let mut waiting = Waiting::default();
        waiting.push((0..TXN_OPS + 1).map(|n| pair(n, 1)).collect());
        assert_eq!(waiting.next(false).map(|some| some.len()), Some(TXN_OPS));
        assert_eq!(waiting.next(false), None);
        assert_eq!(waiting.next(true).map(|some| some.len()), Some(1));
        assert_eq!(waiting.next(true), None);
        waiting.push((0..3).map(|n| pair(n, BATCH_BYTES / 2)).collect());
        assert_eq!(waiting.next(false).map(|some| some.len()), Some(1));
        let large = pair(9, 2 * BATCH_BYTES);
        let mut waiting = Waiting::default();
        waiting.push(vec![large.clone(), pair(1, 1)]);
        assert_eq!(waiting.next(false), Some(vec![large]));
    }

    #[test]
    fn keys_that_are_there_with_their_values_are_in() {
        let pairs = [pair(1, 1), pair(2, 1)];
        let found = |pairs: &[Pair]| TxnResponse {
            responses: pairs
                .iter()
                .map(|(key, value)| {
                    let (key, value) = (key.clone(), value.clone());
                    let kvs = vec![KeyValue { key, value, ..KeyValue::default() }];
                    ResponseOp::Range(RangeResponse { kvs, ..RangeResponse::default() })
                })
                .collect(),
            ..TxnResponse::default()
        };
        assert_eq!(are_in(&pairs, &found(&pairs)), Ok(()));
        let told = are_in(&pairs, &found(&[pair(1, 1), pair(2, 2)])).expect_err("another value");
        assert!(told.contains("“k2” has another value"), "{told}");
        let mut gone = found(&pairs);
        gone.responses[0] = ResponseOp::Range(RangeResponse::default());
        let told = are_in(&pairs, &gone).expect_err("gone");
        assert!(told.contains("“k1” was deleted"), "{told}");
    }
}
