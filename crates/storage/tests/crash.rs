//! Crashes at any instant, again and again: what comes back is a prefix of what was written,
//! and holds all that was synced.

mod common;

use common::{Draft, Model};
use kvorum_storage::{
    Crash, FIRST_FILE, Faults, FaultyDirectory, File as _, Log, LogError, LogOptions, MemDirectory,
    MemFile,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// As many cases as `PROPTEST_CASES` says (the long form), or as a usual run has time for. The
/// seed of one that failed is kept beside this file and tried first from then on.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::with_cases(cases.unwrap_or(2000))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Draft>),
    Sync,
    Crash(Crash),
}

/// Records small and large, most entries at the end, some of them replacing others.
fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let bytes = || prop_oneof![8 => 0..60_usize, 1 => 500..1500_usize];
    let back = prop_oneof![4 => Just(0), 1 => 1..4_u64];
    let append = (back, bytes(), any::<u8>()).prop_map(|(back, bytes, fill)| Draft::Append {
        back,
        bytes,
        fill,
    });
    let set = (0..3_u8, bytes(), any::<u8>()).prop_map(|(slot, bytes, fill)| Draft::Set {
        slot,
        bytes,
        fill,
    });
    let beyond = prop_oneof![9 => Just(0), 1 => 1..9_u64];
    let cut = (0..6_u64).prop_map(|keep| Draft::Cut { keep });
    let reset = (0..6_u64, beyond).prop_map(|(back, beyond)| Draft::Reset { back, beyond });
    prop::collection::vec(prop_oneof![16 => append, 8 => set, 2 => cut, 1 => reset], 0..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let crash = prop_oneof![
        Just(Crash::Lose),
        Just(Crash::Keep),
        (0..4000_u64).prop_map(Crash::KeepBytes),
        any::<u64>().prop_map(Crash::Scatter),
    ];
    let step = prop_oneof![
        6 => drafts().prop_map(Step::Append),
        2 => Just(Step::Sync),
        1 => crash.prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

/// Small: files grow and follow one another all the time.
const OPTIONS: LogOptions =
    LogOptions { log_id: 7, preallocate: 512, reserve: 300, segment_bytes: 1000 };

type TestDirectory = FaultyDirectory<MemDirectory>;

/// A log with the model beside it, and what it has promised to keep.
struct Run {
    directory: TestDirectory,
    options: LogOptions,
    log: Option<Log<TestDirectory>>,
    model: Model,
    promised: usize,
    /// It was open once, so its header is synced.
    begun: bool,
}

impl Run {
    fn new(faults: Faults) -> Self {
        let directory = FaultyDirectory::new(MemDirectory::new(), faults);
        Self {
            directory,
            options: OPTIONS,
            log: None,
            model: Model::default(),
            promised: 0,
            begun: false,
        }
    }

    /// Opens the log; a fault may be in the way.
    fn open(&mut self) {
        match Log::open(self.directory.clone(), self.options) {
            Ok((log, recovered)) => {
                let count = self.model.prefix(&recovered);
                assert!(count >= self.promised, "lost: {count} of {}", self.promised);
                // Opening syncs what it found.
                self.model.batches.truncate(count);
                self.promised = count;
                self.begun = true;
                self.log = Some(log);
            }
            Err(LogError::File(_) | LogError::NoSpace(_)) => self.log = None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Garbage where a header should be is refused, rightly: nobody knows whose it is. So a
    /// file that was never open crashes without it.
    fn crash(&mut self, crash: Crash) {
        let crash = match crash {
            Crash::Scatter(seed) if !self.begun => Crash::KeepBytes(seed % 700),
            crash => crash,
        };
        self.log = None;
        self.directory.inner().crash(crash);
    }

    fn step(&mut self, step: &Step) {
        let Some(log) = &mut self.log else { return self.open() };
        match step {
            Step::Append(drafts) => {
                let batch = self.model.next_batch(drafts);
                match log.append(&batch) {
                    Ok(()) => self.model.batches.push(batch),
                    Err(LogError::NoSpace(_)) => assert_eq!(log.failure(), None),
                    Err(LogError::File(_)) => {
                        // Any part of it may be there.
                        self.model.batches.push(batch);
                        self.log = None;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Sync => match log.sync() {
                Ok(durable) => {
                    self.promised = self.model.batches.len();
                    assert_eq!(durable, self.promised as u64);
                }
                Err(_) => self.log = None,
            },
            Step::Crash(crash) => {
                self.crash(*crash);
                self.open();
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_crash_keeps_what_was_synced(steps in steps()) {
        let mut run = Run::new(Faults::default());
        run.open();
        for step in &steps {
            run.step(step);
            prop_assert!(run.log.is_some());
        }
        run.step(&Step::Crash(Crash::Lose));
        prop_assert!(run.log.is_some());
    }

    #[test]
    fn a_failing_disk_keeps_what_was_synced(steps in steps(), seed: u64) {
        let mut run = Run::new(Faults::drawn(seed, 200, 6, false));
        for step in &steps {
            run.step(step);
        }
        run.directory.set(Faults::default());
        run.crash(Crash::Scatter(seed));
        run.open();
        prop_assert!(run.log.is_some());
    }

    /// What a lying disk lost is lost, but what comes back was written, in its order.
    #[test]
    fn a_lying_disk_makes_nothing_up(steps in steps(), seed: u64) {
        let mut run = Run::new(Faults::default());
        run.open();
        run.directory.set(Faults::drawn(seed, 200, 10, true));
        for step in steps.iter().filter(|step| !matches!(step, Step::Crash(_))) {
            if run.log.is_some() {
                run.step(step);
            }
        }
        run.directory.set(Faults::default());
        run.crash(Crash::Scatter(seed));
        match Log::open(run.directory.clone(), OPTIONS) {
            Ok((_, recovered)) => {
                run.model.prefix(&recovered);
            },
            Err(error) => prop_assert!(matches!(error, LogError::Refused { .. }), "{error}"),
        }
    }

    #[test]
    fn losing_all_gives_the_last_sync_back(
        changes in prop::collection::vec((0..4_u8, 0..200_u64, 0..100_usize), 0..40),
    ) {
        let file = MemFile::new();
        let mut synced = file.bytes();
        for (kind, at, bytes) in changes {
            match kind {
                0 => {
                    file.sync().expect("memory does not fail");
                    synced = file.bytes();
                }
                1 => file.set_len(at).expect("memory does not fail"),
                _ => file.write_at(at, &vec![kind; bytes]).expect("memory does not fail"),
            }
        }
        let now = file.bytes();
        file.crash(Crash::Keep);
        prop_assert_eq!(file.bytes(), now);
        file.crash(Crash::Lose);
        prop_assert_eq!(file.bytes(), synced);
        prop_assert_eq!(file.unsynced_bytes(), 0);
    }
}

/// Every place at which the last write can be torn, with zeros or an old batch behind it.
#[test]
fn torn_at_every_byte() {
    let draft = |fill| vec![Draft::Append { back: 0, bytes: 9, fill }];
    for kept in 0..400 {
        let mut run = Run::new(Faults::default());
        // Nothing is written but batches.
        run.options = LogOptions { preallocate: 4096, segment_bytes: u64::MAX, ..OPTIONS };
        run.open();
        run.step(&Step::Append(draft(1)));
        run.step(&Step::Sync);
        for fill in 2..6 {
            run.step(&Step::Append(draft(fill)));
        }
        let file = run.directory.inner().file(FIRST_FILE).expect("the log's file");
        let before = file.unsynced_bytes();
        run.step(&Step::Crash(Crash::KeepBytes(kept)));
        // A batch takes 64 bytes, and the last two are padding: zeros anyway.
        let whole = ((kept + 2) / 64).min(before / 64) as usize;
        assert_eq!(run.promised, 1 + whole, "{kept} of {before} bytes kept");
        // The same batches again, other bytes: none of the old ones may come back.
        run.step(&Step::Append(draft(9)));
        run.step(&Step::Sync);
        run.step(&Step::Crash(Crash::Lose));
        assert_eq!(run.promised, 2 + whole);
    }
}
