//! Logs: any files at all, and files whose checksums hold though nothing else does.

use std::collections::BTreeMap;

use api::Bytes;
use storage::{Batch, Log, LogOptions, MemDirectory};
use wal::Record;

use crate::harness::{Reader, with_length};

const LOG_ID: u64 = 5;
const OPTIONS: LogOptions =
    LogOptions { log_id: LOG_ID, preallocate: 64, reserve: 64, segment_bytes: 600 };

/// Logs of one segment and of three; the first byte says what is done to their checksums.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let records = |index: u64| {
        let payload = Bytes::from(vec![index as u8; index as usize % 30]);
        let set = Record::Set { slot: index as u8 % 3, value: payload.clone() };
        vec![set, Record::Append { index, payload }]
    };
    let mut seeds = Vec::new();
    for (count, segment_bytes) in [(0, 1), (1, 600), (4, 600), (6, 200), (9, 300)] {
        let directory = MemDirectory::new();
        let options = LogOptions { segment_bytes, ..OPTIONS };
        let (mut log, _) = Log::open(directory.clone(), options).expect("it is empty");
        for number in 1..=count {
            let mut records = records(number);
            if number == 5 {
                records.push(Record::Cut { index: 3 });
            }
            if number == 8 {
                records.push(Record::Reset { index: 9 });
            }
            log.append(&Batch { number: log.next(), records }).expect("memory takes it");
            log.sync().expect("memory syncs");
        }
        for seal in [0, 1] {
            let files = directory.image().into_values().map(|mut file| {
                let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                file.truncate(end.next_multiple_of(8));
                with_length(&file)
            });
            seeds.push([vec![seal], files.collect::<Vec<_>>().concat()].concat());
        }
    }
    seeds
}

/// Opens these files as a log, goes on in it, and opens it again.
pub(crate) fn run(input: &[u8]) -> String {
    let mut reader = Reader(input);
    let seal = reader.byte() % 2 == 1;
    let mut files = Vec::new();
    while !reader.is_empty() && files.len() < 8 {
        let mut file = reader.bytes().to_vec();
        if seal {
            seal_all(&mut file);
        }
        files.push(file);
    }
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    wal::fuzz_recover(&slices);
    let names = files.into_iter().enumerate();
    let image: BTreeMap<_, _> =
        names.map(|(at, file)| (format!("log-{:08}", at + 1), file)).collect();
    let directory = MemDirectory::with_files(image.clone());
    let (mut log, recovered) = match Log::open(directory.clone(), OPTIONS) {
        Ok(opened) => opened,
        Err(error) => {
            let stays = directory.image();
            let changed = image.iter().any(|(name, file)| stays.get(name) != Some(file));
            assert!(!changed, "what is refused is left as it is: {error}");
            return error.to_string();
        }
    };
    let index = recovered.entries.last().map_or(1, |(last, _)| last + 1);
    let record = Record::Append { index, payload: Bytes::from_static(b"goes on") };
    let appended = log.append(&Batch { number: log.next(), records: vec![record.clone()] });
    log.sync().expect("memory syncs");
    drop(log);
    let again = Log::open(directory, OPTIONS).expect("what was opened is opened again").1;
    assert!(again.torn.is_none(), "{:?}", again.torn);
    if appended.is_ok() {
        let last = again.entries.last().expect("it was appended");
        assert_eq!((last.0, &last.1[..]), (index, &b"goes on"[..]));
        let (old, new) = (&recovered.entries, &again.entries[..again.entries.len() - 1]);
        assert_eq!(old.as_slice(), new);
    }
    let size = |count: usize| "i".repeat(count.min(6));
    format!(
        "{} segments {} entries {} slots torn {} goes on {:?}",
        size(recovered.segments.len()),
        size(recovered.entries.len()),
        size(recovered.slots.len()),
        recovered.torn.is_some(),
        appended.err(),
    )
}

const HEADER_BYTES: usize = 48;
const BATCH_BYTES: usize = 40;

/// Makes all checksums of a file hold, from its front on, for as long as batches follow each
/// other: see docs/format.md.
fn seal_all(file: &mut [u8]) {
    if file.len() < HEADER_BYTES {
        return;
    }
    let checksum = crc32c::crc32c(&file[..HEADER_BYTES - 4]);
    file[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    let (mut at, mut previous) = (HEADER_BYTES, checksum);
    while let Some(batch) = file.get_mut(at..).filter(|rest| rest.len() >= BATCH_BYTES) {
        let body = u32::from_le_bytes(batch[4..8].try_into().expect("four bytes")) as usize;
        let end = BATCH_BYTES.saturating_add(body.next_multiple_of(8));
        if batch[..4] != *b"KvBt" || end > batch.len() {
            return;
        }
        let body = crc32c::crc32c(&batch[BATCH_BYTES..end]);
        batch[28..32].copy_from_slice(&previous.to_le_bytes());
        batch[32..36].copy_from_slice(&body.to_le_bytes());
        let seed = crc32c::crc32c(&LOG_ID.to_le_bytes());
        previous = crc32c::crc32c_append(seed, &batch[..36]);
        batch[36..40].copy_from_slice(&previous.to_le_bytes());
        at += end;
    }
}
