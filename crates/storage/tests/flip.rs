//! One bit of a synced log is turned over, each of them in turn.

mod common;

use std::collections::BTreeMap;

use common::{Draft, Model};
use kvorum_storage::{FIRST_FILE, Log, LogError, LogOptions, MemDirectory};
use wal::Recovered;

type Image = BTreeMap<String, Vec<u8>>;

const RESERVE: u64 = 1024;

fn draft(number: u8) -> Vec<Draft> {
    let append = Draft::Append { back: u64::from(number == 4) * 2, bytes: 11, fill: number };
    let set = Draft::Set { slot: number % 2, bytes: 5, fill: number };
    match number {
        6 => vec![set, append, Draft::Cut { keep: 2 }],
        7 => vec![Draft::Reset { back: 1, beyond: 0 }, set, append],
        _ => vec![set, append],
    }
}

/// Opens what is there with one bit of one file turned over. What is refused is not touched.
fn open_flipped(image: &Image, file: &str, at: usize, bit: u8) -> Option<Recovered> {
    let directory = MemDirectory::with_files(image.clone());
    directory.file(file).expect("it is there").flip(at as u64, bit);
    let flipped = directory.image();
    match Log::open(directory.clone(), LogOptions::new(99, RESERVE)) {
        Ok((_, recovered)) => Some(recovered),
        Err(LogError::Refused { .. }) => {
            assert_eq!(directory.image(), flipped, "refused, and touched");
            None
        }
        Err(error) => panic!("bit {bit} of byte {at}: {error}"),
    }
}

/// Batches 1 to 7. Each knows what was synced before it: `SYNCED[i]` holds after batch i+1.
const SYNC_AFTER: [usize; 4] = [1, 2, 5, 7];

#[test]
fn every_bit_is_noticed_or_does_not_matter() {
    let options = LogOptions { log_id: 99, preallocate: 64, reserve: 0, segment_bytes: u64::MAX };
    let directory = MemDirectory::new();
    let (mut log, _) = Log::open(directory.clone(), options).expect("a new log");
    let mut model = Model::default();
    // Where each batch ends; batch n lies between ends[n-1] and ends[n].
    let mut ends = vec![log.usage().end];
    for number in 1..=7_u8 {
        let batch = model.next_batch(&draft(number));
        log.append(&batch).expect("memory does not fail");
        model.batches.push(batch);
        ends.push(log.usage().end);
        if SYNC_AFTER.contains(&usize::from(number)) {
            log.sync().expect("memory does not fail");
        }
    }
    let image = directory.image();
    // Batch 7 was written when 5 was the last that was known to be synced.
    let proven = 5;
    let mut cut = 0;
    for at in 0..image[FIRST_FILE].len() {
        for bit in 0..8 {
            let Some(recovered) = open_flipped(&image, FIRST_FILE, at, bit) else {
                assert!((at as u64) < ends[proven], "bit {bit} of byte {at}");
                continue;
            };
            let count = model.prefix(&recovered);
            assert!(count >= proven, "bit {bit} of byte {at} lost batch {}", count + 1);
            if count < 7 {
                assert!(recovered.torn.is_some(), "bit {bit} of byte {at}: no word");
                assert!(ends[count] <= at as u64 && (at as u64) < ends[count + 1]);
                cut += 1;
            } else {
                assert!(at as u64 >= ends[7], "bit {bit} of byte {at} does not matter");
            }
        }
    }
    // Exactly the two batches of the last sync, which nothing behind them vouches for.
    assert_eq!(cut, (ends[7] - ends[5]) * 8);
}

/// What others follow was synced: every bit of it is noticed, but for the zeros at its end.
#[test]
fn every_bit_of_a_segment_that_others_follow() {
    let options = LogOptions { log_id: 99, preallocate: 64, reserve: 0, segment_bytes: 200 };
    let directory = MemDirectory::new();
    let (mut log, _) = Log::open(directory.clone(), options).expect("a new log");
    let mut model = Model::default();
    let mut end_of_first = 0;
    for number in 1..=4_u8 {
        if log.usage().segments == 1 {
            end_of_first = log.usage().end;
        }
        let batch = model.next_batch(&draft(number));
        log.append(&batch).expect("memory does not fail");
        model.batches.push(batch);
    }
    log.sync().expect("memory does not fail");
    assert_eq!(log.usage().segments, 2);
    let image = directory.image();
    for at in 0..image[FIRST_FILE].len() {
        for bit in 0..8 {
            let recovered = open_flipped(&image, FIRST_FILE, at, bit);
            assert_eq!(recovered.is_some(), at as u64 >= end_of_first, "bit {bit} of byte {at}");
            if let Some(recovered) = recovered {
                assert_eq!(model.prefix(&recovered), 4);
            }
        }
    }
}
