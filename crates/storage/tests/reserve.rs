//! A full disk: what is in memory then, and what its operator does about it, still gets to the
//! store's file.

use api::Bytes;
use api::kv::{DeleteRangeRequest, PutRequest};
use kvorum_storage::{
    Directory, Faults, FaultyDirectory, File, Keeper, KeeperOptions, MemDirectory, Progress,
};
use mvcc::Store;
use mvcc::job::{Done, Job};

const OPTIONS: KeeperOptions = KeeperOptions {
    cache_bytes: 1024 * 1024,
    step_rows: 100,
    job_steps: 4,
    reserve_bytes: 8 * 1024 * 1024,
};

type TestKeeper = Keeper<FaultyDirectory<MemDirectory>>;

fn run(keeper: &mut TestKeeper, job: Job) -> Done {
    keeper.begin(job);
    loop {
        match keeper.step().expect("no file fails") {
            Progress::Done(done) => return done,
            Progress::More | Progress::Waiting => {}
        }
    }
}

/// Puts `count` values of 10 kB and freezes what is in memory.
fn fill(store: &mut Store, prefix: &str, count: usize) -> Job {
    for n in 0..count {
        let key = format!("{prefix}{n}").into();
        let put = PutRequest { key, value: vec![7; 10_000].into(), ..PutRequest::default() };
        store.put(&put).expect("puts");
    }
    freeze(store)
}

fn freeze(store: &mut Store) -> Job {
    let run = store.freeze(Bytes::new()).expect("nothing is on its way");
    Job::Move { generation: 1, run }
}

fn rest(store: &mut Store, done: Done) {
    let Done::Base(base) = done else { panic!("not moved: {done:?}") };
    store.rest_on(base);
}

/// The first time it may find out that there is no reserve any more.
fn rest_in_the_end(store: &mut Store, keeper: &mut TestKeeper, job: &Job) {
    match run(keeper, job.clone()) {
        Done::NoSpace { base, .. } => {
            base.into_iter().for_each(|base| store.rest_on(base));
            rest(store, run(keeper, job.clone()));
        }
        done => rest(store, done),
    }
}

/// There is no room for a name, not even that of the reserve.
#[test]
fn a_disk_that_is_full_from_the_start_is_told() {
    let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
    let (mut keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("it is empty");
    let mut store = Store::new();
    directory.set_capacity(Some(0));
    let job = fill(&mut store, "a", 10);
    let full = run(&mut keeper, job.clone());
    assert!(matches!(full, Done::NoSpace { base: None, .. }), "{full:?}");
    directory.set_capacity(None);
    rest(&mut store, run(&mut keeper, job));
}

/// A member that ended on a full disk starts on one.
#[test]
fn the_reserve_of_the_life_before_is_given_up() {
    let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
    let (mut keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("it is empty");
    let mut store = Store::new();
    let job = fill(&mut store, "a", 100);
    rest(&mut store, run(&mut keeper, job));
    drop(keeper);
    let reserve = || directory.open("reserve").expect("opens").expect("is there").len();
    assert_eq!(reserve(), Ok(OPTIONS.reserve_bytes));

    directory.set_capacity(Some(directory.used()));
    let opened = Keeper::open(directory.clone(), OPTIONS, Some(1)).expect("it is there");
    let mut keeper = opened.0;
    store.rest_on(opened.1.expect("a base"));
    let job = fill(&mut store, "b", 100);
    let full = run(&mut keeper, job.clone());
    assert!(matches!(full, Done::NoSpace { base: None, .. }), "{full:?}");
    assert_eq!(reserve(), Ok(0));
    rest(&mut store, run(&mut keeper, job));
}

/// The store's file grows by doubling, for which the disk has no room long before it is full.
#[test]
fn the_disk_is_cleared_from_the_reserve() {
    for (rounds, ends) in [1, 8, 20, 35].into_iter().flat_map(|n| [(n, false), (n, true)]) {
        let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
        let (mut keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("it is empty");
        let mut store = Store::new();
        for round in 0..rounds {
            let job = fill(&mut store, &format!("a{round}-"), 100);
            rest(&mut store, run(&mut keeper, job));
        }
        directory.set_capacity(Some(directory.used()));
        let full = (0..).find_map(|round| {
            let job = fill(&mut store, &format!("b{round}-"), 100);
            let done = run(&mut keeper, job.clone());
            if let Done::NoSpace { base, .. } = done {
                base.into_iter().for_each(|base| store.rest_on(base));
                return Some((job, round));
            }
            rest(&mut store, done);
            None
        });
        let (job, more) = full.expect("it is never full");
        if ends {
            // The next life begins with what this one has left.
            drop(keeper);
            let opened = Keeper::open(directory.clone(), OPTIONS, Some(1)).expect("it is there");
            store.rest_on(opened.1.expect("a base"));
            keeper = opened.0;
        }
        rest_in_the_end(&mut store, &mut keeper, &job);

        let delete =
            DeleteRangeRequest { key: "a".into(), range_end: "c".into(), ..Default::default() };
        let deleted = store.delete_range(&delete).expect("deletes").deleted;
        assert_eq!(deleted, 100 * (rounds + more + 1));
        store.compact(store.revision()).expect("compacts");
        let job = freeze(&mut store);
        rest(&mut store, run(&mut keeper, job));
        while store.base().expect("a base").summary().wants_scrub() {
            let done = run(&mut keeper, Job::Scrub);
            rest(&mut store, done);
        }
        // In what that has freed there is room for as much again, and for the reserve.
        for round in 0..2 {
            let job = fill(&mut store, &format!("c{round}-"), 75);
            rest(&mut store, run(&mut keeper, job));
        }
    }
}
