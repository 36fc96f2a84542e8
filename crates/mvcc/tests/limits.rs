//! The limits, at their edges. (Sizes and operations have golden scripts.)

use api::kv::{CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use api::limits;
use api::session::Request;
use api::watch::{WatchCreateRequest, WatchRequest, WatchResponse};
use api::{Bytes, Error};
use kvorum_mvcc::{Slice, Store, Watchers, Writing, check};

fn put(key: &str) -> PutRequest {
    PutRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..PutRequest::default() }
}

#[test]
fn a_session_has_so_many_watches_and_no_more() {
    let mut store = Store::new();
    let mut watchers = Watchers::new(&store);
    let key = Bytes::from_static(b"k");
    let create = WatchRequest::Create(WatchCreateRequest { key, ..Default::default() });
    for _ in 0..limits::WATCHES_PER_SESSION {
        watchers.request(&store, 1, &create).unwrap();
    }
    let step = watchers.step(&store).unwrap();
    assert!(step.messages.iter().all(|(_, response)| response.created && !response.canceled));
    assert_eq!(watchers.len(), limits::WATCHES_PER_SESSION);

    watchers.request(&store, 1, &create).unwrap();
    let refused = watchers.step(&store).unwrap().messages.remove(0).1;
    assert!(refused.created && refused.canceled && refused.watch_id == -1);
    assert_eq!(refused.cancel_reason, Error::TooManyRequests.text());

    // They work, and make room when they end.
    store.put(&put("k")).unwrap();
    let events: usize = drain(&mut watchers, &store).iter().map(|r| r.events.len()).sum();
    assert_eq!(events, limits::WATCHES_PER_SESSION);
    watchers.request(&store, 1, &WatchRequest::Cancel(7)).unwrap();
    watchers.request(&store, 1, &create).unwrap();
    assert_eq!(watchers.step(&store).unwrap().messages.len(), 2);
    assert_eq!(watchers.len(), limits::WATCHES_PER_SESSION);
    watchers.end(1);
    assert!(watchers.is_empty());
}

fn drain(watchers: &mut Watchers, store: &Store) -> Vec<WatchResponse> {
    let mut responses = Vec::new();
    loop {
        let step = watchers.step(store).unwrap();
        responses.extend(step.messages.into_iter().map(|(_, response)| response));
        if !step.more {
            return responses;
        }
    }
}

/// One change for many watches is told in slices, too: the messages of a step are bounded.
#[test]
fn a_change_for_many_watches_is_told_in_slices() {
    let mut store = Store::new();
    let mut watchers = Watchers::with_pace(&store, 10, 10);
    let (key, range_end) = (Bytes::from_static(b"a"), Bytes::from_static(b"z"));
    let create = WatchRequest::Create(WatchCreateRequest { key, range_end, ..Default::default() });
    for session in 0..100 {
        watchers.request(&store, session, &create).unwrap();
    }
    assert_eq!(watchers.step(&store).unwrap().messages.len(), 100);
    store.put(&put("k")).unwrap();
    let mut told = 0;
    loop {
        let step = watchers.step(&store).unwrap();
        assert!(step.messages.len() <= 20, "{}", step.messages.len());
        told += step.messages.len();
        if !step.more {
            break;
        }
    }
    assert_eq!(told, 100);
}

/// A store with so many keys below `load/`, and watches that take slices of 100 of them.
fn loaded(keys: i64) -> (Store, Watchers) {
    let mut store = Store::new();
    for n in 0..keys {
        store.put(&put(&format!("load/{n}"))).unwrap();
    }
    let watchers = Watchers::with_pace(&store, 10, 100);
    (store, watchers)
}

/// Deletes them all at once.
fn unload(store: &mut Store, keys: i64) {
    let (key, range_end) = ("load/".into(), "load0".into());
    let delete = DeleteRangeRequest { key, range_end, ..Default::default() };
    assert_eq!(store.delete_range(&delete).unwrap().deleted, keys);
}

/// A change of very many keys is looked through once, not by each watch that it does not concern.
#[test]
fn a_large_change_is_no_work_for_those_whom_it_does_not_concern() {
    let (watches, keys) = (500, 1000);
    let (mut store, mut watchers) = loaded(keys);
    for session in 0..watches {
        let (key, range_end) = (format!("app/{session}/").into(), format!("app/{session}0").into());
        let create = WatchCreateRequest { key, range_end, ..Default::default() };
        watchers.request(&store, session, &WatchRequest::Create(create)).unwrap();
    }
    assert_eq!(watchers.step(&store).unwrap().messages.len(), watches as usize);
    unload(&mut store, keys);
    store.put(&put("app/7/")).unwrap();
    let (mut steps, mut told) = (1, 0);
    loop {
        let step = watchers.step(&store).unwrap();
        told += step.messages.len();
        if !step.more {
            break;
        }
        steps += 1;
    }
    assert_eq!(told, 1);
    assert!(steps < 20, "{steps} steps for ten slices of keys");
}

fn watch(watchers: &mut Watchers, store: &Store, session: u64, start_revision: i64) {
    let (key, range_end) = (Bytes::from_static(b"load/"), Bytes::from_static(b"load0"));
    let create = WatchCreateRequest { key, range_end, start_revision, ..Default::default() };
    watchers.request(store, session, &WatchRequest::Create(create)).unwrap();
    assert_eq!(watchers.step(store).unwrap().messages.len(), 1);
}

/// Takes steps until nobody is behind; the most events of a step, and all of them.
fn most_events(
    watchers: &mut Watchers,
    store: &Store,
    of: fn(&WatchResponse) -> usize,
) -> [usize; 2] {
    let (mut most, mut all) = (0, 0);
    loop {
        let step = watchers.step(store).unwrap();
        let events: usize = step.messages.iter().map(|(_, response)| of(response)).sum();
        (most, all) = (events.max(most), all + events);
        if !step.more {
            return [most, all];
        }
    }
}

/// What a change of many keys means for many watches is told to one after the other.
#[test]
fn a_large_change_for_many_watches_is_told_in_slices() {
    let (watches, keys) = (50, 90);
    let (mut store, mut watchers) = loaded(keys);
    for session in 0..watches {
        watch(&mut watchers, &store, session, 0);
    }
    unload(&mut store, keys);
    let [most, all] = most_events(&mut watchers, &store, |response| response.events.len());
    assert_eq!(all, watches as usize * keys as usize);
    assert!(most <= 2 * keys as usize, "{most} events in a step");
}

/// Nor is it put into one message, for whoever takes fragments: those are handed out by and by.
#[test]
fn a_large_change_is_handed_out_in_fragments() {
    const KEYS: i64 = 70_000;
    let (mut store, _) = loaded(KEYS);
    let mut watchers = Watchers::new(&store);
    let (key, range_end) = ("load/".into(), "load0".into());
    let create = WatchCreateRequest { key, range_end, fragment: true, ..Default::default() };
    watchers.request(&store, 0, &WatchRequest::Create(create)).unwrap();
    assert_eq!(watchers.step(&store).unwrap().messages.len(), 1);
    unload(&mut store, KEYS);
    let (mut told, mut fragments) = (0, 0);
    loop {
        let step = watchers.step(&store).unwrap();
        assert!(step.messages.len() <= 1, "{} at once", step.messages.len());
        for (_, response) in step.messages {
            told += response.events.len();
            fragments += 1;
            assert_eq!(response.fragment, told < KEYS as usize, "more follows");
            assert!(response.events.len() < 40_000, "{} events", response.events.len());
        }
        if !step.more {
            break;
        }
    }
    assert_eq!((told, fragments), (KEYS as usize, 3));
}

/// Many watches that read the past together read no more at once than one.
#[test]
fn the_past_is_read_in_slices_of_bytes() {
    const VALUE: usize = 100_000;
    let mut store = Store::new();
    for n in 0..10 {
        let (key, value) = (format!("load/{n}").into(), vec![7; VALUE].into());
        store.put(&PutRequest { key, value, ..PutRequest::default() }).unwrap();
    }
    let mut watchers = Watchers::new(&store);
    for session in 0..20 {
        watchers.hold(session, true);
        watch(&mut watchers, &store, session, 2);
    }
    (0..20).for_each(|session| watchers.hold(session, false));
    let bytes = |response: &WatchResponse| {
        response.events.iter().map(|event| event.kv.value.len()).sum::<usize>()
    };
    let [most, all] = most_events(&mut watchers, &store, bytes);
    assert_eq!(all, 20 * 10 * VALUE);
    assert!(most <= 1024 * 1024 + VALUE, "{most} bytes in a step");
}

/// To find nothing is work, too.
#[test]
fn what_finds_no_key_is_done_in_slices() {
    let absent = |n: usize| Bytes::from(format!("absent/{n}"));
    let compare = |n| api::kv::Compare {
        result: api::kv::CompareResult::Equal,
        target: CompareTarget::Version(0),
        key: absent(n),
        range_end: Bytes::new(),
    };
    let delete = |n| {
        let (key, range_end) = (absent(n), Bytes::new());
        RequestOp::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv: false })
    };
    let compares = TxnRequest { compare: (0..100).map(compare).collect(), ..Default::default() };
    let deletes = TxnRequest { success: (0..100).map(delete).collect(), ..Default::default() };
    for txn in [compares, deletes] {
        let mut store = Store::new();
        let mut writing = Writing::txn(&store, txn);
        let mut steps = 1;
        while writing.step(&mut store, &mut Slice::new(10)).unwrap().is_none() {
            steps += 1;
        }
        assert!(steps >= 10, "{steps} steps");
    }
}

/// Transactions nest as deep as their operations allow. That depth must fit any stack.
#[test]
fn the_deepest_transaction() {
    let nest = |depth: usize| {
        let mut txn = TxnRequest { success: vec![RequestOp::Put(put("k"))], ..Default::default() };
        for _ in 1..depth {
            txn = TxnRequest { success: vec![RequestOp::Txn(txn)], ..Default::default() };
        }
        txn
    };
    let deepest = nest(limits::TXN_OPS);
    assert_eq!(check::txn(&deepest), Ok(()));
    assert_eq!(check::txn(&nest(limits::TXN_OPS + 1)), Err(Error::TooManyOps));
    let mut store = Store::new();
    let response = store.txn(&deepest).unwrap();
    assert_eq!((response.header.revision, store.revision()), (2, 2));
}

/// Guards count as operations do: the longest list decides, at every level.
#[test]
fn a_transaction_has_so_many_guards_and_no_more() {
    let guard = api::kv::Compare {
        result: api::kv::CompareResult::Equal,
        target: CompareTarget::Version(0),
        key: Bytes::from_static(b"k"),
        range_end: Bytes::new(),
    };
    let guards =
        |count: usize| TxnRequest { compare: vec![guard.clone(); count], ..<_>::default() };
    assert_eq!(check::txn(&guards(limits::TXN_OPS)), Ok(()));
    assert_eq!(check::txn(&guards(limits::TXN_OPS + 1)), Err(Error::TooManyOps));

    let mut outer = guards(100);
    outer.success = vec![RequestOp::Txn(guards(limits::TXN_OPS - 100))];
    assert_eq!(check::txn(&outer), Ok(()));
    outer.success = vec![RequestOp::Txn(guards(limits::TXN_OPS - 99))];
    assert_eq!(check::txn(&outer), Err(Error::TooManyOps));
}

/// 64 children with 64 puts and deletions in each branch: the check for keys written twice
/// takes no more than a moment.
#[test]
fn many_writes_are_checked_fast() {
    let child = |n: usize| {
        let ops = (0..64).map(|m| {
            let key = Bytes::from(format!("{n:04}/{m:04}"));
            if m % 2 == 0 {
                RequestOp::Put(PutRequest { key, ..Default::default() })
            } else {
                RequestOp::DeleteRange(DeleteRangeRequest { key, ..Default::default() })
            }
        });
        let success: Vec<_> = ops.collect();
        RequestOp::Txn(TxnRequest { failure: success.clone(), success, ..Default::default() })
    };
    let txn = TxnRequest { success: (0..64).map(child).collect(), ..Default::default() };
    assert_eq!(check::txn(&txn), Ok(()));
}

/// The sizes are those of etcd's protobuf messages, byte by byte.
#[test]
fn sizes_of_requests() {
    let range = RangeRequest {
        key: Bytes::from_static(b"abc"),
        range_end: Bytes::from_static(b"\0"),
        limit: 300,
        revision: -1,
        serializable: true,
        ..Default::default()
    };
    // key 2+3, range_end 2+1, limit 1+2, revision 1+10, serializable 2.
    assert_eq!(check::request_bytes(&Request::Range(range.clone())), 24);
    let write = PutRequest { prev_kv: true, lease: 1, ..put("k") };
    assert_eq!(check::request_bytes(&Request::Put(write.clone())), 3 + 2 + 2);

    let compare = |target| api::kv::Compare {
        result: api::kv::CompareResult::Greater,
        target,
        key: Bytes::from_static(b"k"),
        range_end: Bytes::from_static(b"l"),
    };
    let compares = [
        // result 2, target 0 or 2, key 3, operand, range_end 2+1+1; around it 2.
        (CompareTarget::Version(0), 2 + 2 + 3 + 2 + 4),
        (CompareTarget::Version(1), 2 + 2 + 3 + 2 + 4),
        (CompareTarget::Mod(128), 2 + 2 + 2 + 3 + 3 + 4),
        (CompareTarget::Value(Bytes::new()), 2 + 2 + 2 + 3 + 2 + 4),
        (CompareTarget::Value(Bytes::from_static(b"v")), 2 + 2 + 2 + 3 + 3 + 4),
    ];
    for (target, size) in compares {
        let txn = TxnRequest { compare: vec![compare(target.clone())], ..Default::default() };
        assert_eq!(check::request_bytes(&Request::Txn(txn)), size, "{target:?}");
    }
    // Two levels around each operation: its kind, and its place in the list.
    let inner = TxnRequest { failure: vec![RequestOp::Put(write)], ..Default::default() };
    let outer = TxnRequest {
        success: vec![RequestOp::Txn(inner), RequestOp::Range(range)],
        ..Default::default()
    };
    assert_eq!(check::request_bytes(&Request::Txn(outer)), (7 + 4 + 4) + (24 + 4));
}
