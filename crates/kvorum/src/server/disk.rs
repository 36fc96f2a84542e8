//! The member's data directory, and the thread that makes batches durable.
//!
//! ```text
//!  DIR/log     the member's log, locked while it runs; docs/format.md draws it
//!
//!  node ─ batch 7 ─┐
//!  node ─ batch 8 ─┼─► append, append, append ─► one sync ─► durable: 9 ─► node
//!  node ─ batch 9 ─┘        (10 and 11 come in meanwhile and share the next one)
//! ```

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use storage::std_fs::StdFile;
use storage::{Batch, File, Log, LogError, Options, Recovered};
use tokio::sync::watch;

use super::flags::ClusterState;
use super::metrics::Metrics;

const FILE: &str = "log";
/// Nobody else needs to look into it; etcd's is the same.
const DIR_MODE: u32 = 0o700;

/// Opens a member's directory. Makes it when it is missing and a new cluster is wanted.
pub(crate) fn open(
    dir: &Path,
    state: ClusterState,
    log_id: u64,
) -> Result<(Log<StdFile>, Recovered)> {
    let shown = dir.display();
    if dir.join("member/wal").exists() {
        bail!(
            "{shown} holds the data of an etcd, which Kvorum cannot read; give this member a \
             directory of its own with --data-dir"
        );
    }
    if state == ClusterState::Existing && !dir.join(FILE).exists() {
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
    let fresh = !dir.join(FILE).exists();
    let cannot = || format!("cannot use the data directory {shown}");
    let file = StdFile::open(dir.join(FILE)).with_context(cannot)?;
    if fresh {
        sync_parent(dir).with_context(cannot)?;
    }
    let (log, recovered) = Log::open(file, Options::new(log_id)).with_context(cannot)?;
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            "the end of the log was not complete: {} bytes at byte {} are cut off, as a crash \
             leaves them; nothing of them was acknowledged",
            torn.bytes,
            torn.at
        );
    }
    Ok((log, recovered))
}

/// A new directory's name is in the one above.
fn sync_parent(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir.canonicalize()?.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The way to the log's thread and back.
pub(crate) struct Disk {
    last: u64,
    batches: mpsc::Sender<Batch>,
    durable: watch::Receiver<Result<u64, LogError>>,
}

impl Disk {
    /// Starts the thread. It ends when this is dropped, or with the log's first error.
    pub(crate) fn start(log: Log<impl File + Send + 'static>, metrics: Metrics) -> Result<Self> {
        let last = log.durable();
        let (batches, queue) = mpsc::channel();
        let (tell, durable) = watch::channel(Ok(last));
        let work = move || {
            if let Err(error) = write(log, &queue, &tell, &metrics) {
                // The node's task takes it from there, if it still runs.
                let _ = tell.send(Err(error));
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(Self { last, batches, durable })
    }

    /// The last batch that was durable at the start.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Has a batch written. The caller counts what waits and does not let it grow.
    pub(crate) fn write(&self, batch: Batch) {
        // A thread that has ended has said why, which `durable` gives.
        let _ = self.batches.send(batch);
    }

    /// The last durable batch, when there is a later one than was given before.
    pub(crate) async fn durable(&mut self) -> Result<u64> {
        self.durable.changed().await.context("the log's thread is gone")?;
        Ok(self.durable.borrow_and_update().clone()?)
    }
}

fn write(
    mut log: Log<impl File>,
    queue: &mpsc::Receiver<Batch>,
    tell: &watch::Sender<Result<u64, LogError>>,
    metrics: &Metrics,
) -> Result<(), LogError> {
    while let Ok(first) = queue.recv() {
        log.append(&first)?;
        while let Ok(next) = queue.try_recv() {
            log.append(&next)?;
        }
        let since = Instant::now();
        let number = log.sync()?;
        metrics.synced(since.elapsed());
        if tell.send(Ok(number)).is_err() {
            // The node has ended.
            return Ok(());
        }
    }
    Ok(())
}
