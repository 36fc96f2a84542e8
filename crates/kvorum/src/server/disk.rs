//! The member's data directory, and the threads that work on it.
//!
//! ```text
//!  DIR/lock             locked while the member runs
//!  DIR/log-00000001 …   its log; docs/format.md draws it
//!  DIR/store-00000001   its store, as far as it is below memory
//!  DIR/reserve          room that the store keeps for when the disk is full
//!
//!  node ─ batch 7 ─┐
//!  node ─ batch 8 ─┼─► append, append, append ─► one sync ─► durable: 9 ─► node
//!  node ─ batch 9 ─┘        (10 and 11 come in meanwhile and share the next one)
//!  node ─ job ───────► step, step, step ─► done ─────────────────────────► node
//! ```

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use node::Pace;
use storage::{
    Batch, Directory, Done, FileError, Job, Journal, Keeper, KeeperOptions, LogOptions, Opened,
    Progress, Room,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::flags::ClusterState;
use super::metrics::Metrics;

/// Nobody else needs to look into it; etcd's is the same.
const DIR_MODE: u32 = 0o700;
/// What found no room in the log is tried again after this long.
const NO_ROOM: Duration = Duration::from_millis(200);
/// How long an end waits for the disk.
const CLOSE: Duration = Duration::from_secs(5);
/// Rows of one step of a job. A thread of its own can take large ones.
const STEP_ROWS: usize = 10_000;
const JOB_STEPS: usize = 4;

/// Opens a member's directory. Makes it when it is missing and a new cluster is wanted.
pub(crate) fn open<D>(
    dir: &Path,
    open: impl FnOnce(&Path) -> Result<D, FileError>,
    state: ClusterState,
    log_id: u64,
    cache_bytes: usize,
) -> Result<Opened<D>>
where
    D: Directory + Clone,
    D::File: Send + Sync + 'static,
{
    let shown = dir.display();
    if dir.join("member/wal").exists() {
        bail!(
            "{shown} holds the data of an etcd, which Kvorum cannot read; give this member a \
             directory of its own with --data-dir"
        );
    }
    let fresh = is_empty(dir);
    if state == ClusterState::Existing && fresh {
        bail!(
            "--initial-cluster-state is existing, and {shown} holds no data of a member; this \
             version cannot join a running cluster. To form a new one use \
             --initial-cluster-state new"
        );
    }
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .with_context(|| format!("cannot make the data directory {shown}"))?;
    let cannot = || format!("cannot use the data directory {shown}");
    if fresh {
        sync_parent(dir).with_context(cannot)?;
    }
    let directory = open(dir).with_context(cannot)?;
    let opened = open_files(directory, log_id, cache_bytes).with_context(cannot)?;
    if let Some(torn) = &opened.recovered.torn {
        tracing::warn!("{torn}");
    }
    Ok(opened)
}

/// Opens what a directory of a member holds.
pub(crate) fn open_files<D>(directory: D, log_id: u64, cache_bytes: usize) -> Result<Opened<D>>
where
    D: Directory + Clone,
    D::File: Send + Sync + 'static,
{
    let log = LogOptions::new(log_id, Pace::NATIVE.log_reserve_bytes());
    let keeper = KeeperOptions {
        cache_bytes,
        step_rows: STEP_ROWS,
        job_steps: JOB_STEPS,
        reserve_bytes: Pace::NATIVE.reserve_bytes(),
    };
    // Of a file that is damaged in ways that it does not expect redb makes a panic.
    let open = AssertUnwindSafe(|| Opened::open(directory, log, keeper, node::generation));
    let opened = catch_unwind(open).map_err(|_| {
        anyhow!(
            "the store's file is damaged; keep a copy of this directory and replace this member"
        )
    })?;
    Ok(opened?)
}

/// Whether a directory holds no log.
fn is_empty(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return true };
    let is_log = |name: &str| name == "log" || name.starts_with("log-");
    !entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_log))
}

/// A new directory's name is in the one above.
fn sync_parent(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir.canonicalize()?.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// What the node hears of its disk.
pub(crate) enum News {
    /// Batches up to this one are durable.
    Durable(u64),
    /// How the log stands for room.
    Room(Room),
    /// The job is done.
    Done(Done),
}

/// The way to the disk's threads and back.
pub(crate) struct Disk {
    last: u64,
    batches: Sender<Batch>,
    jobs: Sender<Job>,
    news: UnboundedReceiver<Result<News>>,
}

impl Disk {
    /// Starts the threads. They end when this is dropped, or with the first error.
    pub(crate) fn start<D>(journal: Journal<D>, keeper: Keeper<D>, metrics: Metrics) -> Result<Self>
    where
        D: Directory + Send + 'static,
        D::File: Send + Sync + 'static,
    {
        let last = journal.log().durable();
        let (batches, queue) = mpsc::channel();
        let (jobs, orders) = mpsc::channel();
        let (tell, news) = unbounded_channel();
        let told = tell.clone();
        spawn("log", tell.clone(), move || write(journal, &queue, &told, &metrics))?;
        let told = tell.clone();
        spawn("store", tell, move || keep(keeper, &orders, &told))?;
        Ok(Self { last, batches, jobs, news })
    }

    /// The last batch that was durable at the start.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Has a batch written. The caller counts what waits and does not let it grow.
    pub(crate) fn write(&self, batch: Batch) {
        // A thread that has ended has said why, which `next` gives.
        let _ = self.batches.send(batch);
    }

    /// Has a job done.
    pub(crate) fn begin(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Waits until the threads have ended and their files are closed, but not for ever: a disk that
    /// hangs keeps nobody from ending.
    pub(crate) async fn close(self) {
        let Self { batches, jobs, mut news, .. } = self;
        drop((batches, jobs));
        let ended = async { while news.recv().await.is_some() {} };
        let _ = timeout(CLOSE, ended).await;
    }

    /// The next thing that there is to hear.
    pub(crate) async fn next(&mut self) -> Result<News> {
        self.news.recv().await.context("the disk's threads are gone")?
    }
}

/// A thread whose end the node's task hears of, if it does not end with it.
fn spawn(
    name: &str,
    tell: UnboundedSender<Result<News>>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let what = name.to_owned();
    let run = move || {
        let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(anyhow!(
                "the member's {what} failed for no known reason; what it said is above. If it does \
                 so again, keep a copy of this directory and replace this member"
            ))
        });
        if let Err(error) = ended {
            // The node's task takes it from there, if it still runs.
            let _ = tell.send(Err(error));
        }
    };
    std::thread::Builder::new().name(name.into()).spawn(run)?;
    Ok(())
}

fn write<D: Directory>(
    mut journal: Journal<D>,
    queue: &Receiver<Batch>,
    tell: &UnboundedSender<Result<News>>,
    metrics: &Metrics,
) -> Result<()> {
    loop {
        match next(queue, journal.waits()) {
            Ok(batch) => journal.append(batch)?,
            Err(RecvTimeoutError::Timeout) => {}
            // The node has ended.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        while let Ok(batch) = queue.try_recv() {
            journal.append(batch)?;
        }
        // At once: what comes during the sync has to find room, too.
        let appended = journal.room().map(News::Room);
        if appended.is_some_and(|news| tell.send(Ok(news)).is_err()) {
            return Ok(());
        }
        let since = Instant::now();
        let before = journal.log().durable();
        let number = journal.sync()?;
        if number > before {
            metrics.synced(since.elapsed());
        }
        let room = journal.room().map(News::Room);
        for news in room.into_iter().chain([News::Durable(number)]) {
            if tell.send(Ok(news)).is_err() {
                return Ok(());
            }
        }
    }
}

/// The next batch; what waits for room is tried again without one.
fn next(queue: &Receiver<Batch>, waits: bool) -> Result<Batch, RecvTimeoutError> {
    match waits {
        true => queue.recv_timeout(NO_ROOM),
        false => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

fn keep<D>(
    mut keeper: Keeper<D>,
    orders: &Receiver<Job>,
    tell: &UnboundedSender<Result<News>>,
) -> Result<()>
where
    D: Directory,
    D::File: Send + Sync + 'static,
{
    while let Ok(job) = orders.recv() {
        keeper.begin(job);
        let done = loop {
            if let Progress::Done(done) = keeper.step()? {
                break done;
            }
        };
        if tell.send(Ok(News::Done(done))).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
