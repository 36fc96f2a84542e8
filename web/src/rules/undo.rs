//! Taking a deletion back.

use api::kv::{Compare, CompareResult, CompareTarget, KeyValue, PutRequest, RequestOp, TxnRequest};

/// Deletions that can be taken back at once.
pub const KEPT: usize = 20;

/// Puts back what was deleted, unless the key was put again since.
pub fn put_back(kv: &KeyValue) -> TxnRequest {
    let absent = Compare {
        result: CompareResult::Equal,
        target: CompareTarget::Version(0),
        key: kv.key.clone(),
        range_end: Default::default(),
    };
    let put = PutRequest {
        key: kv.key.clone(),
        value: kv.value.clone(),
        lease: kv.lease,
        ..PutRequest::default()
    };
    TxnRequest { compare: vec![absent], success: vec![RequestOp::Put(put)], failure: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_what_was_deleted_and_only_where_nothing_is() {
        let kv = KeyValue {
            key: "k".into(),
            value: (&b"\xff"[..]).into(),
            lease: 7,
            version: 3,
            ..KeyValue::default()
        };
        let txn = put_back(&kv);
        assert!(matches!(txn.compare[0].target, CompareTarget::Version(0)));
        assert_eq!((&txn.compare[0].key, &txn.failure), (&kv.key, &Vec::new()));
        let [RequestOp::Put(put)] = &txn.success[..] else { panic!("{txn:?}") };
        assert_eq!((&put.key, &put.value, put.lease), (&kv.key, &kv.value, 7));
    }
}
