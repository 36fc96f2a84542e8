//! Bytes of any kind: no panic, no more memory than they warrant, no entry made up.

use bytes::Bytes;
use kvorum_wal::{
    BATCH_BYTES, Batch, Record, RecoverError, SEGMENT_HEADER_BYTES, Tail, fuzz_recover, recover,
};
use proptest::prelude::*;

const LOG_ID: u64 = 5;

fn batches() -> impl Strategy<Value = Vec<(Vec<u8>, u8)>> {
    prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 0..3_u8), 0..12)
}

/// A log of these payloads in one segment. Each batch knows the one before as synced, if
/// `synced`.
fn log_of(payloads: &[(Vec<u8>, u8)], synced: bool) -> Vec<u8> {
    segments_of(payloads, synced, usize::MAX).remove(0)
}

/// A log of these payloads, so many in each segment.
fn segments_of(payloads: &[(Vec<u8>, u8)], synced: bool, each: usize) -> Vec<Vec<u8>> {
    let (header, mut tail) = Tail::begin(LOG_ID);
    let mut files = vec![header.to_vec()];
    for (index, (payload, slot)) in (1..).zip(payloads) {
        if index > 1 && (index as usize - 1).is_multiple_of(each) {
            let (header, next) = tail.next_segment();
            files.push(header.to_vec());
            tail = next;
        }
        let payload = Bytes::copy_from_slice(payload);
        let records = vec![
            Record::Set { slot: *slot, value: payload.clone() },
            Record::Append { index, payload },
        ];
        let batch = Batch { number: tail.next(), records };
        let safe = if synced { tail.next() - 1 } else { 0 };
        let file = files.last_mut().expect("there is one");
        tail = tail.encode(&batch, safe, file).expect("the batch fits");
    }
    files
}

/// What was recovered, the most that was read at once, and how much in all.
fn watched(bytes: &[u8], length: u64) -> (bool, usize, usize) {
    let (mut most, mut all) = (0, 0);
    let outcome = recover(&[length], |_, at, into| {
        most = most.max(into.len());
        all += into.len();
        assert!(at + into.len() as u64 <= length, "read behind the end");
        for (at, byte) in (at..).zip(into) {
            *byte = bytes.get(at as usize).copied().unwrap_or(0);
        }
        Ok::<(), ()>(())
    });
    assert_ne!(outcome, Err(RecoverError::Read(())));
    (outcome.is_ok(), most, all)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(4000)
    })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), headed: bool) {
        let mut file = if headed { Tail::begin(LOG_ID).0.to_vec() } else { Vec::new() };
        file.extend(bytes);
        fuzz_recover(&[&file]);
    }

    #[test]
    fn a_log_with_bytes_of_any_kind_in_it(
        payloads in batches(),
        synced: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        moved in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = log_of(&payloads, synced);
        for (place, byte) in places {
            let at = place.index(file.len());
            file[at] = byte;
        }
        fuzz_recover(&[&file]);
        // A piece of the log somewhere else in it.
        let (from, to, count) = moved;
        let from = from.index(file.len()) / 8 * 8;
        let to = to.index(file.len()) / 8 * 8;
        let count = count.index(file.len() - from.max(to) + 1);
        file.copy_within(from..from + count, to);
        fuzz_recover(&[&file]);
        file.truncate(cut.index(file.len() + 1));
        fuzz_recover(&[&file]);
    }

    /// Nothing is made up of segments that are damaged, lost or in the wrong order.
    #[test]
    fn segments_in_any_state(
        payloads in batches(),
        each in 1..4_usize,
        place in any::<(prop::sample::Index, prop::sample::Index, u8)>(),
        lost in prop::option::of(any::<prop::sample::Index>()),
        swapped in any::<(prop::sample::Index, prop::sample::Index)>(),
        swap: bool,
    ) {
        let mut files = segments_of(&payloads, true, each);
        let whole: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let (recovered, _) = kvorum_wal::recover_segments(&whole).expect("it is whole");
        let entries = recovered.entries;
        prop_assert_eq!(entries.len(), payloads.len());

        let count = files.len();
        let (file, at, byte) = place;
        let file = &mut files[file.index(count)];
        let at = at.index(file.len());
        file[at] = byte;
        if let Some(lost) = lost {
            files.remove(lost.index(count));
        }
        if swap && !files.is_empty() {
            let (a, b) = (swapped.0.index(files.len()), swapped.1.index(files.len()));
            files.swap(a, b);
        }
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        fuzz_recover(&files);
        if let Ok((found, _)) = kvorum_wal::recover_segments(&files) {
            // All of it from some entry on, up to some entry.
            let first = found.entries.first().map_or(0, |(index, _)| *index as usize - 1);
            prop_assert_eq!(&found.entries[..], &entries[first..first + found.entries.len()]);
        }
    }

    #[test]
    fn what_was_written_comes_back(payloads in batches(), synced: bool, zeros in 0..200_usize) {
        let mut file = log_of(&payloads, synced);
        let end = file.len();
        file.resize(end + zeros, 0);
        let (recovered, _) = kvorum_wal::recover_bytes(&file).expect("it is whole");
        prop_assert_eq!(recovered.end, end as u64);
        prop_assert_eq!(recovered.torn, None);
        let entries: Vec<_> =
            recovered.entries.iter().map(|(_, payload)| payload.to_vec()).collect();
        let written: Vec<_> = payloads.into_iter().map(|(payload, _)| payload).collect();
        prop_assert_eq!(entries, written);
    }
}

/// A client that chooses its bytes well, even a whole log, does not make a batch: it does not
/// know the log's id.
#[test]
fn a_log_inside_a_value_is_a_value() {
    let (header, mut inner_tail) = Tail::begin(LOG_ID + 1);
    let mut inner = header.to_vec();
    for number in 1..=9 {
        let batch = Batch { number, records: Vec::new() };
        inner_tail = inner_tail.encode(&batch, number - 1, &mut inner).expect("it fits");
    }
    let (header, tail) = Tail::begin(LOG_ID);
    let mut file = header.to_vec();
    // So that the inner batches begin where batches may begin.
    let mut payload = vec![0; 3];
    payload.extend(inner);
    let record = Record::Append { index: 1, payload: Bytes::from(payload) };
    let batch = Batch { number: 1, records: vec![record] };
    tail.encode(&batch, 0, &mut file).expect("it fits");
    // Torn: without its header nothing but the inner batches is left to be found.
    file[SEGMENT_HEADER_BYTES] = 0;
    let (recovered, _) = kvorum_wal::recover_bytes(&file).expect("it is torn, not corrupt");
    assert_eq!((recovered.next, recovered.torn.is_some()), (1, true));
}

/// A file that is large and empty is read in pieces.
#[test]
fn memory_is_bounded_by_the_piece() {
    let file = log_of(&[(vec![1; 30], 0)], true);
    let length = 64 * 1024 * 1024;
    let (whole, most, all) = watched(&file, length);
    assert!(whole);
    assert!(most < 512 * 1024, "{most} bytes at once");
    assert!(all < length as usize * 5 / 4, "{all} bytes for {length}");
}

/// A header that promises a lot gets as much as there is, and never more than the limit.
#[test]
fn memory_is_bounded_by_the_limit() {
    let payload = Bytes::from(vec![7; BATCH_BYTES / 2]);
    let batch = Batch { number: 1, records: vec![Record::Append { index: 1, payload }] };
    let (header, tail) = Tail::begin(LOG_ID);
    let mut file = header.to_vec();
    tail.encode(&batch, 0, &mut file).expect("it fits");
    let (_, most, _) = watched(&file, file.len() as u64);
    assert!(most <= BATCH_BYTES);
    file.truncate(1000);
    let (whole, most, _) = watched(&file, 1000);
    assert!(whole);
    assert!(most <= 1000);
}
