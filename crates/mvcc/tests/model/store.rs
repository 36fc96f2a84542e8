//! The store against the model: any requests, the same answers.

use api::Error;
use api::kv::{
    DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseOp, TxnRequest,
};
use kvorum_mvcc::testing::{Mover, read_txn, write_in_slices};
use kvorum_mvcc::{Hashing, Reading, Slice, Store, TxnReading, Writing, check};
use proptest::prelude::*;

use crate::model::Model;
use crate::requests;

#[derive(Clone, Debug)]
enum Action {
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Range(RangeRequest),
    Compact(i64),
    Below(Below),
}

/// What a host does below the store, in its own time: nobody may notice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Below {
    Freeze,
    Arrive(usize),
    Scrub(usize),
}

impl Below {
    pub(crate) fn act(self, mover: &mut Mover, store: &mut Store) {
        match self {
            Self::Freeze => mover.freeze(store),
            Self::Arrive(slice) => mover.arrive(store, slice),
            Self::Scrub(slice) => drop(mover.scrub(store, slice)),
        }
    }
}

pub(crate) fn below() -> impl Strategy<Value = Below> {
    prop_oneof![
        Just(Below::Freeze),
        (1..9_usize).prop_map(Below::Arrive),
        (1..9_usize).prop_map(Below::Scrub),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => requests::put().prop_map(Action::Put),
        2 => requests::delete_range().prop_map(Action::DeleteRange),
        3 => requests::txn().prop_map(Action::Txn),
        4 => requests::range().prop_map(Action::Range),
        1 => (-1..20_i64).prop_map(Action::Compact),
        6 => below().prop_map(Action::Below),
    ]
}

/// What etcd's checks let through that etcd then dies of is left to a golden script.
fn model_can(txn: &TxnRequest) -> bool {
    check::txn(txn).is_ok() && !txn_mixes_end_and_keep(txn)
}

fn txn_mixes_end_and_keep(txn: &TxnRequest) -> bool {
    let text = format!("{txn:?}");
    text.contains(r#"range_end: b"\0""#)
        && (text.contains("ignore_value: true") || text.contains("ignore_lease: true"))
}

/// Every key at every revision that may be read.
fn all_states_agree(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    for revision in 1..=model.revision() + 1 {
        let all = RangeRequest {
            key: b"\0".as_slice().into(),
            range_end: b"\0".as_slice().into(),
            revision,
            ..RangeRequest::default()
        };
        prop_assert_eq!(store.range(&all), model.range(&all));
    }
    Ok(())
}

proptest! {
    #[test]
    fn answers_as_the_model(actions in prop::collection::vec(action(), 1..40)) {
        let mut store = Store::new();
        let mut model = Model::new();
        let mut twin = Store::new();
        let mut mover = Mover::default();
        for action in &actions {
            match action {
                Action::Put(put) => {
                    prop_assert_eq!(store.put(put), model.put(put));
                    let _ = twin.put(put);
                }
                Action::DeleteRange(delete) => {
                    prop_assert_eq!(store.delete_range(delete), Ok(model.delete_range(delete)));
                    let _ = twin.delete_range(delete);
                }
                Action::Txn(txn) if model_can(txn) => {
                    let read = check::is_read_only(txn).then(|| read_txn(&store, txn));
                    let answer = store.txn(txn);
                    prop_assert_eq!(&answer, &model.txn(txn));
                    if let Some(read) = read {
                        prop_assert_eq!(&answer, &read);
                    }
                    let _ = twin.txn(txn);
                }
                // Refused before the log. A store that meets it anyway must stand it.
                Action::Txn(txn) => {
                    let _ = store.clone().txn(txn);
                }
                Action::Range(range) => {
                    prop_assert_eq!(store.range(range), model.range(range));
                }
                Action::Compact(revision) => {
                    prop_assert_eq!(store.compact(*revision), model.compact(*revision));
                    let _ = twin.compact(*revision);
                }
                Action::Below(below) => below.act(&mut mover, &mut store),
            }
            prop_assert_eq!(store.revision(), model.revision());
            prop_assert_eq!(store.compact_revision(), model.compacted);
        }
        all_states_agree(&store, &model)?;
        prop_assert_eq!(store.hash(0), twin.hash(0));
        mover.settle(&mut store);
        Mover::default().settle(&mut twin);
        all_states_agree(&store, &model)?;
        prop_assert_eq!(store.hash(0), twin.hash(0));
        prop_assert_eq!(store.bytes(), twin.bytes());
        // A start from what is below finds all of it.
        let again = Store::on(store.base().expect("it has settled").clone());
        all_states_agree(&again, &model)?;
        prop_assert_eq!(again.hash(0), twin.hash(0));
        prop_assert_eq!(again.compact_revision(), twin.compact_revision());
    }

    /// A hash in slices is the hash, whatever happens between them.
    #[test]
    fn a_hash_in_slices_is_the_hash(
        actions in prop::collection::vec(action(), 1..60),
        begin in 0..40_usize,
        rows in 1..6_usize,
    ) {
        let (mut store, mut mover, mut hashing) = (Store::new(), Mover::default(), None);
        let mut begun = 0;
        for (turn, action) in actions.iter().enumerate() {
            match action {
                Action::Put(put) => drop(store.put(put)),
                Action::DeleteRange(delete) => drop(store.delete_range(delete)),
                Action::Txn(txn) => drop(store.txn(txn)),
                Action::Compact(revision) => drop(store.compact(*revision)),
                Action::Below(below) => below.act(&mut mover, &mut store),
                Action::Range(_) => {}
            }
            if turn == begin {
                begun = store.revision();
                hashing = Hashing::new(&store, begun).ok();
            }
            let Some(slices) = &mut hashing else { continue };
            match slices.step(&store, &mut Slice::new(rows)) {
                Ok(None) => {}
                Ok(Some(hash)) => {
                    prop_assert_eq!(Ok(hash), store.hash(begun));
                    hashing = None;
                }
                Err(error) => {
                    prop_assert_eq!(store.hash(begun), Err(error));
                    hashing = None;
                }
            }
        }
    }

    /// What compaction drops is no part of the hash of what it keeps: members that compact at
    /// different times agree as soon as they have compacted at the same revision.
    #[test]
    fn compaction_in_steps_is_compaction(
        actions in prop::collection::vec(action(), 1..40),
        steps in prop::collection::vec(0..40_i64, 0..4),
    ) {
        let mut store = Store::new();
        for action in &actions {
            match action {
                Action::Put(put) => drop(store.put(put)),
                Action::DeleteRange(delete) => drop(store.delete_range(delete)),
                Action::Txn(txn) => drop(store.txn(txn)),
                Action::Range(_) | Action::Compact(_) | Action::Below(_) => {}
            }
        }
        let last = store.revision();
        let mut stepped = store.clone();
        let mut mover = Mover::default();
        for step in steps {
            let _ = stepped.compact(step.min(last - 1));
            mover.settle(&mut stepped);
        }
        store.compact(last).unwrap();
        stepped.compact(last).unwrap();
        prop_assert_eq!(store.hash(0), stepped.hash(0));
        Mover::default().settle(&mut store);
        mover.settle(&mut stepped);
        prop_assert_eq!(store.hash(0), stepped.hash(0));
        prop_assert_eq!(store.bytes(), stepped.bytes());
    }

    /// A range that is read in slices is the range, whatever is written and moved meanwhile.
    #[test]
    fn a_range_in_slices_is_the_range(
        before in prop::collection::vec(action(), 1..30),
        meanwhile in prop::collection::vec(action(), 0..10),
        request in requests::range(),
        slice in 1..4_usize,
    ) {
        let (mut store, mut mover) = (Store::new(), Mover::default());
        before.iter().for_each(|action| act(action, &mut store, &mut mover));
        let whole = store.range(&request);
        let Ok(mut reading) = Reading::new(&store, request) else {
            prop_assert!(whole.is_err());
            return Ok(());
        };
        let mut meanwhile = meanwhile.iter();
        let sliced = loop {
            if let Some(response) = reading.step(&store, &mut Slice::new(slice)).unwrap() {
                break response;
            }
            meanwhile.next().into_iter().for_each(|action| act(action, &mut store, &mut mover));
        };
        prop_assert_eq!(Ok(sliced), whole);
    }

    /// So is a transaction that only reads: all of it shows one revision.
    #[test]
    fn a_transaction_in_slices_is_the_transaction(
        before in prop::collection::vec(action(), 1..30),
        meanwhile in prop::collection::vec(action(), 0..10),
        ranges in prop::collection::vec(requests::range(), 0..4),
        slice in 1..4_usize,
    ) {
        let (mut store, mut mover) = (Store::new(), Mover::default());
        before.iter().for_each(|action| act(action, &mut store, &mut mover));
        let success = ranges.into_iter().map(RequestOp::Range).collect();
        let txn = TxnRequest { success, ..TxnRequest::default() };
        let whole = store.clone().txn(&txn);
        let mut reading = TxnReading::new(&store, txn);
        let mut meanwhile = meanwhile.iter();
        let sliced = loop {
            if let Some(response) = reading.step(&store, &mut Slice::new(slice)).transpose() {
                break response;
            }
            meanwhile.next().into_iter().for_each(|action| act(action, &mut store, &mut mover));
        };
        prop_assert_eq!(sliced, whole);
    }

    /// A write in slices is the write: nobody sees a part of it, whatever is moved meanwhile, and
    /// one that fails has changed nothing.
    #[test]
    fn a_write_in_slices_is_the_write(
        before in prop::collection::vec(action(), 1..30),
        compact in 0..20_i64,
        meanwhile in prop::collection::vec(below(), 0..20),
        write in prop_oneof![
            1 => requests::delete_range().prop_map(RequestOp::DeleteRange),
            3 => requests::txn().prop_map(RequestOp::Txn),
        ],
        slice in 1..4_usize,
    ) {
        let (mut store, mut mover) = (Store::new(), Mover::default());
        before.iter().for_each(|action| act(action, &mut store, &mut mover));
        let _ = store.compact(compact);
        let mut twin = store.clone();
        let (writing, whole) = match write {
            RequestOp::DeleteRange(delete) => {
                let whole = twin.delete_range(&delete).map(ResponseOp::DeleteRange);
                (Writing::delete_range(delete), whole)
            }
            RequestOp::Txn(txn) => {
                let whole = twin.txn(&txn).map(ResponseOp::Txn);
                (Writing::txn(&store, txn), whole)
            }
            other => unreachable!("{other:?}"),
        };
        let (revision, state, hash) = (store.revision(), everything(&store), store.hash(0));
        let mut meanwhile = meanwhile.iter();
        let answer = write_in_slices(&mut store, writing, slice, |store| {
            meanwhile.next().into_iter().for_each(|below| below.act(&mut mover, store));
            assert_eq!((store.revision(), everything(store)), (revision, state.clone()));
            assert_eq!(store.hash(0), hash);
        });
        prop_assert_eq!(answer, whole);
        prop_assert_eq!(store.revision(), twin.revision());
        prop_assert_eq!(everything(&store), everything(&twin));
        prop_assert_eq!(store.hash(0), twin.hash(0));
        mover.settle(&mut store);
        Mover::default().settle(&mut twin.clone());
        prop_assert_eq!(everything(&store), everything(&twin));
        prop_assert_eq!(store.hash(0), twin.hash(0));
    }
}

/// What one sees in a store: every key now, and how many there were.
fn everything(store: &Store) -> RangeResponse {
    let all = || b"\0".as_slice().into();
    let all = RangeRequest { key: all(), range_end: all(), ..RangeRequest::default() };
    store.range(&all).expect("it can be read")
}

/// What happens to a store; reads and compactions do not.
fn act(action: &Action, store: &mut Store, mover: &mut Mover) {
    match action {
        Action::Put(put) => drop(store.put(put)),
        Action::DeleteRange(delete) => drop(store.delete_range(delete)),
        Action::Txn(txn) => drop(store.txn(txn)),
        Action::Below(below) => below.act(mover, store),
        Action::Range(_) | Action::Compact(_) => {}
    }
}

/// A transaction whose revision is compacted while it is read begins again, all of it: no two
/// parts of its answer show two revisions.
#[test]
fn a_transaction_that_is_compacted_begins_again() {
    // Wherever it is when that happens.
    let whole = (1..).find(|keys| compacted_after(*keys)).expect("it ends");
    assert!(whole > 4, "{whole} are too few to stop between its parts");
}

/// Whether so many keys are all of it.
fn compacted_after(keys: usize) -> bool {
    let mut store = Store::new();
    let put = |store: &mut Store, key: &'static str, value: &'static str| {
        let (key, value) = (key.into(), value.into());
        store.put(&PutRequest { key, value, ..PutRequest::default() }).unwrap();
    };
    put(&mut store, "a", "1");
    put(&mut store, "b", "1");
    let get = |key: &'static str| {
        RequestOp::Range(RangeRequest { key: key.into(), ..RangeRequest::default() })
    };
    let txn = TxnRequest { success: vec![get("a"), get("b")], ..TxnRequest::default() };
    let mut reading = TxnReading::new(&store, txn.clone());
    if reading.step(&store, &mut Slice::new(keys)).unwrap().is_some() {
        return true;
    }
    put(&mut store, "a", "2");
    put(&mut store, "b", "2");
    store.compact(store.revision()).unwrap();
    let answer = loop {
        if let Some(answer) = reading.step(&store, &mut Slice::new(1)).unwrap() {
            break answer;
        }
    };
    assert_eq!(answer, store.txn(&txn).unwrap());
    false
}

/// A revision that a transaction names is read as it was, or not at all.
#[test]
fn a_transaction_at_a_compacted_revision_is_refused() {
    let (mut store, mut mover) = (Store::new(), Mover::default());
    for value in ["1", "2", "3"] {
        let (key, value) = ("a".into(), value.into());
        store.put(&PutRequest { key, value, ..PutRequest::default() }).unwrap();
    }
    let get = |revision| {
        RequestOp::Range(RangeRequest { key: "a".into(), revision, ..RangeRequest::default() })
    };
    let txn = TxnRequest { success: vec![get(0), get(2)], ..TxnRequest::default() };
    let mut reading = TxnReading::new(&store, txn);
    assert_eq!(reading.step(&store, &mut Slice::new(1)), Ok(None));
    store.compact(3).unwrap();
    mover.freeze(&mut store);
    mover.arrive(&mut store, 9);
    mover.scrub(&mut store, 9);
    let refused = (0..100).find_map(|_| reading.step(&store, &mut Slice::new(1)).transpose());
    assert_eq!(refused, Some(Err(Error::Compacted)));
}
