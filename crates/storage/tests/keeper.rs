//! A store over a keeper, against the same store in memory: whatever the keeper does, and wherever
//! a crash comes, nobody notices.

use api::Bytes;
use api::kv::{DeleteRangeRequest, PutRequest, RangeRequest};
use kvorum_storage::{
    Crash, Faults, FaultyDirectory, Keeper, KeeperOptions, MemDirectory, Progress,
};
use mvcc::base::SharedBase;
use mvcc::job::{Done, Job, Source};
use mvcc::{Revision, Store, piece};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

type TestDirectory = FaultyDirectory<MemDirectory>;

/// Small: every job takes several steps.
const OPTIONS: KeeperOptions =
    KeeperOptions { cache_bytes: 1024 * 1024, step_rows: 3, job_steps: 2, reserve_bytes: 1 << 20 };

/// As many cases as `PROPTEST_CASES` says (the long form), or as a usual run has time for.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::with_cases(cases.unwrap_or(100))
    }
}

#[derive(Clone, Debug)]
enum Write {
    Put {
        key: u8,
        bytes: usize,
    },
    Delete {
        key: u8,
        count: u8,
    },
    /// So many puts: more than one transaction moves.
    Burst(u8),
    /// So far back from the newest revision.
    Compact {
        back: i64,
    },
}

#[derive(Clone, Debug)]
enum Act {
    Write(Write),
    /// Begins a job that may be begun; the number draws which.
    Begin(u8),
    /// Takes so many steps of it.
    Steps(usize),
    /// The disk has only so much more room.
    Full(u64),
    Mend,
    /// The member ends in order, whatever is under way.
    Close(bool),
    Crash(Crash, bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let write = prop_oneof![
        6 => (0..6_u8, 0..400_usize).prop_map(|(key, bytes)| Write::Put { key, bytes }),
        2 => (0..6_u8, 100_000..500_000_usize).prop_map(|(key, bytes)| Write::Put { key, bytes }),
        2 => (0..6_u8, 1..4_u8).prop_map(|(key, count)| Write::Delete { key, count }),
        1 => (20..60_u8).prop_map(Write::Burst),
        1 => (0..6_i64).prop_map(|back| Write::Compact { back }),
    ];
    let crash = prop_oneof![
        Just(Crash::Lose),
        Just(Crash::Keep),
        (0..100_000_u64).prop_map(Crash::KeepBytes),
        any::<u64>().prop_map(Crash::Scatter),
    ];
    let act = prop_oneof![
        14 => write.prop_map(Act::Write),
        6 => any::<u8>().prop_map(Act::Begin),
        12 => (1..30_usize).prop_map(Act::Steps),
        2 => (0..1_500_000_u64).prop_map(Act::Full),
        1 => Just(Act::Mend),
        1 => any::<bool>().prop_map(Act::Close),
        1 => (crash, any::<bool>()).prop_map(|(crash, newer)| Act::Crash(crash, newer)),
    ];
    prop::collection::vec(act, 1..60)
}

fn write(store: &mut Store, what: &Write) {
    let name = |key: u8| Bytes::from(vec![b'a' + key]);
    match what {
        Write::Put { key, bytes } => {
            let value = Bytes::from(vec![store.revision() as u8; *bytes]);
            let put = PutRequest { key: name(*key), value, ..PutRequest::default() };
            store.put(&put).expect("it can be written");
        }
        Write::Burst(count) => {
            for at in 0..*count {
                write(store, &Write::Put { key: at % 6, bytes: usize::from(at) });
            }
        }
        Write::Delete { key, count } => {
            let (key, range_end) = (name(*key), name(key + count));
            let delete = DeleteRangeRequest { key, range_end, prev_kv: false };
            store.delete_range(&delete).expect("it can be written");
        }
        Write::Compact { back } => {
            // What the store refuses its twin refuses, too.
            let _ = store.compact(store.revision() - back);
        }
    }
}

fn all(revision: i64) -> RangeRequest {
    let zero = Bytes::from_static(b"\0");
    RangeRequest { key: zero.clone(), range_end: zero, revision, ..RangeRequest::default() }
}

fn same(store: &Store, twin: &Store) -> Result<(), TestCaseError> {
    prop_assert_eq!(store.hash(0), twin.hash(0));
    for revision in 1..=twin.revision() {
        prop_assert_eq!(store.range(&all(revision)), twin.range(&all(revision)));
    }
    Ok(())
}

/// How many writes a base holds: its note.
fn count_of(base: &SharedBase) -> usize {
    let note = base.summary().note.as_ref().try_into().expect("four bytes");
    u32::from_le_bytes(note) as usize
}

/// A generation that is to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Filling(u64),
    Finished(u64),
    Switching(u64),
}

/// A store over a keeper, and its twin in memory.
struct World {
    directory: TestDirectory,
    keeper: Keeper<TestDirectory>,
    store: Store,
    twin: Store,
    writes: Vec<Write>,
    /// The current generation, as the log would name it.
    generation: Option<u64>,
    next: Option<Next>,
    /// A run that found no room.
    again: Option<Job>,
    under_way: Option<Job>,
    /// So many writes are in a base that is safe.
    promised: usize,
}

impl World {
    fn new() -> Self {
        let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
        let (keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("it is empty");
        Self {
            directory,
            keeper,
            store: Store::new(),
            twin: Store::new(),
            writes: Vec::new(),
            generation: None,
            next: None,
            again: None,
            under_way: None,
            promised: 0,
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Write(what) => {
                write(&mut self.store, what);
                write(&mut self.twin, what);
                self.writes.push(what.clone());
            }
            Act::Begin(draw) if self.under_way.is_none() => {
                if let Some(job) = self.job(*draw) {
                    self.begin(job);
                }
            }
            Act::Begin(_) => {}
            Act::Steps(count) => {
                for _ in 0..*count {
                    self.step()?;
                }
            }
            Act::Full(room) => {
                let used = self.directory.used();
                self.directory.set_capacity(Some(used + room));
            }
            Act::Mend => self.directory.set_capacity(None),
            Act::Close(newer) => {
                // Nobody holds the file any more: it is closed.
                self.store = Store::new();
                self.keeper = Self::new().keeper;
                self.one_header_is_enough()?;
                self.crash(Crash::Keep, *newer)?;
            }
            Act::Crash(crash, newer) => self.crash(*crash, *newer)?,
        }
        Ok(())
    }

    /// A job that may be begun now.
    fn job(&mut self, draw: u8) -> Option<Job> {
        // A complete copy takes over before anything else is done.
        if let Some(Next::Finished(_)) = self.next {
            return Some(Job::Switch);
        }
        match (draw % 5, self.generation, self.next) {
            (0, Some(current), None) => {
                Some(Job::Begin { generation: current + 1, from: Source::Here })
            }
            // While there is a copy nothing is dropped.
            (1, Some(_), None) => Some(Job::Scrub),
            (0, _, Some(_)) if draw > 200 => Some(Job::Abandon),
            (0 | 1, _, Some(_)) => Some(Job::Copy),
            _ => self.again.take().or_else(|| {
                let note = Bytes::copy_from_slice(&(self.writes.len() as u32).to_le_bytes());
                let run = self.store.freeze(note)?;
                Some(Job::Move { generation: self.generation.unwrap_or(1), run })
            }),
        }
    }

    fn begin(&mut self, job: Job) {
        match (&job, self.next) {
            (Job::Begin { generation, .. }, _) => self.next = Some(Next::Filling(*generation)),
            // The log names it before that.
            (Job::Switch, Some(Next::Finished(next))) => self.next = Some(Next::Switching(next)),
            _ => {}
        }
        self.under_way = Some(job.clone());
        self.keeper.begin(job);
    }

    fn step(&mut self) -> Result<(), TestCaseError> {
        if self.under_way.is_none() {
            return Ok(());
        }
        let progress = self.keeper.step();
        let progress = progress.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let Progress::Done(done) = progress else { return Ok(()) };
        let job = self.under_way.take();
        match done {
            Done::Base(base) => {
                self.generation = self.generation.or(Some(1));
                prop_assert!(count_of(&base) >= self.promised);
                self.promised = count_of(&base);
                self.store.rest_on(base);
            }
            Done::Copied { all: true } => self.begin(Job::Finish { summary: None }),
            Done::Finished(base) => {
                let Some(Next::Filling(next)) = self.next else { panic!("what is finished?") };
                self.next = Some(Next::Finished(next));
                prop_assert_eq!(base.summary(), self.store.base().expect("a base").summary());
                self.store.rest_on(base);
            }
            Done::Settled => {
                if let Some(Next::Switching(next)) = self.next.take() {
                    self.generation = Some(next);
                }
            }
            Done::NoSpace { base, .. } => {
                if let Some(base) = base {
                    let before = self.store.base().expect("a base").summary();
                    prop_assert_eq!(base.summary(), before);
                    self.store.rest_on(base);
                }
                match job {
                    Some(job @ Job::Move { .. }) => self.again = Some(job),
                    Some(Job::Scrub) | None => {}
                    // What was to be filled is gone.
                    Some(_) => self.next = None,
                }
            }
            Done::Refused(reason) => prop_assert!(false, "{}", reason),
            Done::Ready | Done::Copied { all: false } => {}
        }
        Ok(())
    }

    /// A machine that stopped while the header was written has the one before it.
    fn one_header_is_enough(&self) -> Result<(), TestCaseError> {
        let Some(generation) = self.generation else { return Ok(()) };
        let name = format!("store-{generation:08}");
        for copy in [100, 8192 + 100] {
            let directory = MemDirectory::with_files(self.directory.inner().image());
            directory.file(&name).expect("it is there").flip(copy, 1);
            let opened = std::panic::catch_unwind(|| {
                let directory = FaultyDirectory::new(directory, Faults::default());
                let opened = Keeper::open(directory, OPTIONS, Some(generation));
                opened.map(|(_, base)| base.map(|base| count_of(&base)))
            });
            let count = opened.ok().and_then(Result::ok).flatten();
            prop_assert!(count >= Some(self.promised), "{:?} of {}", count, self.promised);
        }
        Ok(())
    }

    /// The machine stops and starts again. Of a copy that is complete the log may name either.
    fn crash(&mut self, crash: Crash, newer: bool) -> Result<(), TestCaseError> {
        if let Some(Next::Switching(next)) = self.next {
            self.generation = Some(next);
        } else if let Some(Next::Finished(next)) = self.next.filter(|_| newer) {
            self.generation = Some(next);
        }
        self.directory.end();
        self.directory.inner().crash(crash);
        self.directory = FaultyDirectory::new(self.directory.inner().clone(), Faults::default());
        let opened = Keeper::open(self.directory.clone(), OPTIONS, self.generation);
        let (keeper, base) = opened.map_err(|error| TestCaseError::fail(error.to_string()))?;
        self.keeper = keeper;
        (self.next, self.again, self.under_way) = (None, None, None);
        let mut moved = 0;
        self.store = Store::new();
        if let Some(base) = base {
            moved = count_of(&base);
            self.store = Store::on(base);
        }
        prop_assert!(moved >= self.promised, "{} of {} are left", moved, self.promised);
        // The log brings back the rest.
        for what in &self.writes[moved..] {
            write(&mut self.store, what);
        }
        same(&self.store, &self.twin)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_the_keeper_does_nobody_notices(acts in acts()) {
        let mut world = World::new();
        for act in &acts {
            world.act(act)?;
        }
        same(&world.store, &world.twin)?;
        world.act(&Act::Crash(Crash::Lose, true))?;
    }

    /// A snapshot in pieces is the same store.
    #[test]
    fn a_snapshot_arrives_whole(acts in acts(), bytes in 1..2000_usize) {
        let mut world = World::new();
        let full = |act: &&Act| !matches!(act, Act::Full(_));
        for act in acts.iter().filter(full) {
            world.act(act)?;
        }
        let Some(base) = world.store.base().cloned() else { return Ok(()) };
        let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
        let (mut keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("empty");
        let mut run = |job| {
            keeper.begin(job);
            loop {
                if let Progress::Done(done) = keeper.step().expect("it can be written") {
                    return done;
                }
            }
        };
        run(Job::Begin { generation: 1, from: Source::Peer });
        let mut next = Some(Revision::first(0));
        while let Some(from) = next {
            let piece = piece::read_piece(&*base, from, bytes).expect("it can be read");
            next = piece.next;
            let done = run(Job::Fill(piece.rows));
            prop_assert!(matches!(done, Done::Ready), "{:?}", done);
        }
        let summary = base.summary().clone();
        let done = run(Job::Finish { summary: Some(summary.clone()) });
        let Done::Finished(arrived) = done else { return Err(TestCaseError::fail("no base")) };
        prop_assert_eq!(arrived.summary(), &summary);
        same(&Store::on(arrived), &Store::on(base.clone()))?;

        // One that is not whole is refused.
        run(Job::Switch);
        run(Job::Begin { generation: 2, from: Source::Peer });
        let done = run(Job::Finish { summary: Some(summary.clone()) });
        prop_assert_eq!(matches!(done, Done::Refused(_)), summary.bytes > 0);
    }
}

impl World {
    /// Begins the job that is drawn and takes steps until nothing is under way; how many.
    fn complete(&mut self, draw: u8) -> usize {
        self.act(&Act::Begin(draw)).expect("it begins");
        let mut steps = 0;
        while self.under_way.is_some() {
            self.step().expect("a step");
            steps += 1;
        }
        steps
    }
}

/// A move of several transactions finds no room, again and again.
#[test]
fn a_move_without_room_goes_on_where_it_was_in_the_generation_where_it_was() {
    let (burst, mut world) = (Write::Burst(200), World::new());
    let large = Write::Put { key: 5, bytes: 3_000_000 };
    for what in [Write::Put { key: 0, bytes: 10 }, burst.clone()] {
        world.act(&Act::Write(what)).expect("it can be written");
        world.complete(4);
    }
    for what in [burst, large] {
        world.act(&Act::Write(what)).expect("it can be written");
    }
    world.act(&Act::Full(0)).expect("a full disk");
    // It gives up the reserve, gets to the large value, and then is there at once.
    let tries = [0; 4].map(|_| world.complete(4));
    assert!(world.again.is_some(), "there is no room for the large value");
    assert_eq!(world.promised, 2, "nothing of it has arrived");
    let longest = tries.into_iter().max().expect("there are some");
    assert!(tries[3] == tries[2] && tries[2] < longest, "from the front again: {tries:?}");

    // A copy of what has arrived takes over, then there is room: all has to go there.
    world.act(&Act::Mend).expect("room");
    world.complete(0);
    while world.next == Some(Next::Filling(2)) {
        world.complete(0);
    }
    world.complete(0);
    assert_eq!(world.generation, Some(2), "the copy has taken over");
    assert!(world.complete(4) > longest, "from the front, as none of it is in the copy");
    assert_eq!(world.promised, 4, "all has arrived");
    same(&world.store, &world.twin).expect("the same");
    world.act(&Act::Crash(Crash::Lose, true)).expect("the same after a crash");
}

/// Each bit of a small store's file in turn: what is read is right, or it is refused.
#[test]
fn a_bit_that_turns_over_is_never_read_as_something_else() {
    let mut world = World::new();
    for key in 0..6 {
        world.act(&Act::Write(Write::Put { key, bytes: 30 })).expect("it can be written");
    }
    world.act(&Act::Begin(4)).expect("a move");
    world.act(&Act::Steps(100)).expect("steps");
    assert_eq!(world.promised, 6);
    let (image, right) = (world.directory.inner().image(), world.twin.range(&all(0)));
    let name = "store-00000001";
    let mut noticed = 0;
    // One bit of every 97th byte: the file has a megabyte, most of it unused.
    for at in (0..image[name].len()).step_by(97) {
        let directory = MemDirectory::with_files(image.clone());
        directory.file(name).expect("it is there").flip(at as u64, (at % 8) as u8);
        let read = std::panic::catch_unwind(|| {
            let directory = FaultyDirectory::new(directory, Faults::default());
            let (keeper, base) = Keeper::open(directory, OPTIONS, Some(1)).ok()?;
            let found = Store::on(base?).range(&all(0)).ok();
            drop(keeper);
            found
        });
        match read {
            Ok(Some(found)) => assert_eq!(Ok(found), right, "byte {at}"),
            Ok(None) | Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 3, "{noticed} were noticed");
}
