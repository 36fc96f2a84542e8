//! One bit of a synced log is turned over, each of them in turn.

mod common;

use common::{Draft, Model};
use kvorum_storage::{Log, LogError, MemFile, Options};

/// Batches 1 to 7. Each knows what was synced before it: `SYNCED[i]` holds after batch i+1.
const SYNC_AFTER: [usize; 4] = [1, 2, 5, 7];

#[test]
fn every_bit_is_noticed_or_does_not_matter() {
    let options = Options { log_id: 99, preallocate: 64 };
    let file = MemFile::new();
    let (mut log, _) = Log::open(file.clone(), options).expect("a new log");
    let mut model = Model::default();
    // Where each batch ends; batch n lies between ends[n-1] and ends[n].
    let mut ends = vec![log.used_bytes()];
    for number in 1..=7_u8 {
        let batch = model.next_batch(&[
            Draft::Set { slot: number % 2, bytes: 5, fill: number },
            Draft::Append { back: u64::from(number == 4) * 2, bytes: 11, fill: number },
        ]);
        log.append(&batch).expect("memory does not fail");
        model.batches.push(batch);
        ends.push(log.used_bytes());
        if SYNC_AFTER.contains(&usize::from(number)) {
            log.sync().expect("memory does not fail");
        }
    }
    let bytes = file.bytes();
    // Batch 7 was written when 5 was the last that was known to be synced.
    let proven = 5;
    let mut cut = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let flipped = MemFile::with_bytes(bytes.clone());
            flipped.flip(at as u64, bit);
            match Log::open(flipped.clone(), options) {
                Ok((_, recovered)) => {
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
                Err(LogError::Refused(_)) => {
                    assert!((at as u64) < ends[proven], "bit {bit} of byte {at}");
                    let mut same = bytes.clone();
                    same[at] ^= 1 << bit;
                    assert_eq!(flipped.bytes(), same, "a refused file is not touched");
                }
                Err(error) => panic!("bit {bit} of byte {at}: {error}"),
            }
        }
    }
    // Exactly the two batches of the last sync, which nothing behind them vouches for.
    assert_eq!(cut, (ends[7] - ends[5]) * 8);
}
