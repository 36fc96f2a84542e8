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

#[test]
fn the_disk_is_cleared_from_the_reserve() {
    let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
    let (mut keeper, _) = Keeper::open(directory.clone(), OPTIONS, None).expect("it is empty");
    let mut store = Store::new();
    let job = fill(&mut store, "a", 100);
    rest(&mut store, run(&mut keeper, job));
    let reserve = || directory.open("reserve").expect("opens").expect("is there").len();
    assert_eq!(reserve(), Ok(OPTIONS.reserve_bytes));

    directory.set_capacity(Some(directory.used()));
    let job = fill(&mut store, "b", 100);
    let full = run(&mut keeper, job.clone());
    assert!(matches!(full, Done::NoSpace(_)), "{full:?}");
    assert_eq!(reserve(), Ok(0));
    rest(&mut store, run(&mut keeper, job));

    let delete =
        DeleteRangeRequest { key: "a".into(), range_end: "c".into(), ..Default::default() };
    assert_eq!(store.delete_range(&delete).expect("deletes").deleted, 200);
    store.compact(store.revision()).expect("compacts");
    let job = freeze(&mut store);
    rest(&mut store, run(&mut keeper, job));
    let done = run(&mut keeper, Job::Scrub);
    rest(&mut store, done);
    let done = run(&mut keeper, Job::Scrub);
    rest(&mut store, done);
    // In what that has freed there is room for as much again.
    let job = fill(&mut store, "c", 150);
    rest(&mut store, run(&mut keeper, job));
}
