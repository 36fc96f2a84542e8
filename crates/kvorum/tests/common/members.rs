//! Members as a page hosts them: real nodes, linked to the hub over WebSockets, their logs in
//! memory.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use api::identity::Incarnation;
use api::report::{MemberReport, Role};
use futures_util::{SinkExt, StreamExt};
use node::{Config, Input, LinkKind, Node, Output, Pace, Timing};
use storage::{Journal, Keeper, KeeperOptions, LogOptions, MemDirectory, Opened, Progress};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::{Hub, Socket, WAIT};

/// The hub's socket, as the node numbers it.
const RELAY: u32 = 0;

const KEEPER: KeeperOptions =
    KeeperOptions { cache_bytes: 1024 * 1024, step_rows: 1000, job_steps: 4, reserve_bytes: 0 };

/// One member, on a thread of its own.
pub(crate) struct Member {
    pub(crate) name: String,
    cluster: Vec<String>,
    port: u16,
    directory: MemDirectory,
    thread: Option<JoinHandle<()>>,
    end: Option<mpsc::Sender<()>>,
    report: watch::Receiver<Option<MemberReport>>,
}

impl Member {
    /// Starts one on an empty disk.
    pub(crate) fn start(hub: &Hub, name: &str, cluster: &[&str]) -> Self {
        let cluster = cluster.iter().map(|&name| name.to_owned()).collect();
        let mut member = Self {
            name: name.into(),
            cluster,
            port: hub.port,
            directory: MemDirectory::default(),
            thread: None,
            end: None,
            report: watch::channel(None).1,
        };
        member.restart();
        member
    }

    /// Starts it again on its disk.
    pub(crate) fn restart(&mut self) {
        assert!(self.thread.is_none(), "it runs");
        let (end, ended) = mpsc::channel(1);
        let (tell, report) = watch::channel(None);
        let (directory, log) = (self.directory.clone(), LogOptions::new(random(), 0));
        let opened = Opened::open(directory, log, KEEPER, node::generation);
        let Opened { journal, keeper, recovered, base } = opened.expect("a member's directory");
        let node = Node::new(self.config(), 0, &recovered, base).expect("of this cluster");
        let port = self.port;
        (self.end, self.report) = (Some(end), report);
        let run = Run { node, journal, keeper, tell, started: Instant::now() };
        self.thread = Some(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run.until(port, ended));
        }));
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the member does not panic");
        }
    }

    /// What it shows of itself.
    pub(crate) fn report(&self) -> Option<MemberReport> {
        self.report.borrow().clone()
    }

    fn config(&self) -> Config {
        Config {
            cluster: "default".into(),
            token: String::new(),
            name: self.name.clone(),
            initial: self.cluster.clone(),
            learners: Vec::new(),
            incarnation: Incarnation(u128::from(random()) << 64 | u128::from(random())),
            nonce: random(),
            seed: random(),
            build: "b1".into(),
            urls: Default::default(),
            timing: Timing::default(),
            pace: Pace::NATIVE,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end = None;
    }
}

/// Three members of `default` that have a leader.
pub(crate) async fn cluster(hub: &Hub) -> [Member; 3] {
    let names = ["1", "2", "3"];
    let members = names.map(|name| Member::start(hub, name, &names));
    leader(&members).await;
    members
}

/// Waits until one of them leads and the others follow it; gives its place.
pub(crate) async fn leader(members: &[Member]) -> usize {
    let since = Instant::now();
    loop {
        let reports: Vec<_> =
            members.iter().filter(|member| member.thread.is_some()).map(Member::report).collect();
        let leads = members.iter().position(|member| {
            member.thread.is_some() && member.report().is_some_and(|r| r.role == Role::Leader)
        });
        if let Some(leads) = leads
            && reports.iter().all(|report| {
                report.as_ref().is_some_and(|r| r.leader.as_ref() == Some(&members[leads].name))
            })
        {
            return leads;
        }
        assert!(since.elapsed() < WAIT, "no leader: {reports:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Enough to tell members and runs apart.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(Instant::now())
}

struct Run {
    node: Node,
    journal: Journal<MemDirectory>,
    keeper: Keeper<MemDirectory>,
    tell: watch::Sender<Option<MemberReport>>,
    started: Instant,
}

impl Run {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).expect("a short test")
    }

    /// Runs, over as many sockets as it takes.
    async fn until(mut self, port: u16, mut ended: mpsc::Receiver<()>) {
        let url = format!("ws://127.0.0.1:{port}/relay");
        loop {
            if let Ok((mut socket, _)) = tokio_tungstenite::connect_async(&url).await {
                self.node.handle(self.now(), Input::LinkUp { link: RELAY, kind: LinkKind::Relay });
                if self.exchange(&mut socket, &mut ended).await {
                    return;
                }
                self.node.handle(self.now(), Input::LinkDown { link: RELAY });
            }
            self.drain();
            tokio::select! {
                _ = ended.recv() => return,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            self.node.handle(self.now(), Input::Tick);
        }
    }

    /// Until the socket ends, or (true) the member.
    async fn exchange(&mut self, socket: &mut Socket, ended: &mut mpsc::Receiver<()>) -> bool {
        loop {
            for frame in self.drain() {
                if socket.feed(Message::binary(frame)).await.is_err() {
                    return false;
                }
            }
            if socket.flush().await.is_err() {
                return false;
            }
            let wait = Duration::from_millis(self.node.wake_at().saturating_sub(self.now()));
            tokio::select! {
                _ = ended.recv() => return true,
                () = tokio::time::sleep(wait) => self.node.handle(self.now(), Input::Tick),
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        let frame = Input::Frame { link: RELAY, bytes: &bytes };
                        self.node.handle(self.now(), frame);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return false,
                }
            }
        }
    }

    /// Does what the node wants done; gives the frames to send.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let (mut written, mut busy) = (false, false);
            while let Some(output) = self.node.poll() {
                match output {
                    Output::Send { frame, .. } => frames.push(frame),
                    Output::Persist(batch) => {
                        self.journal.append(batch).expect("memory takes it");
                        written = true;
                    }
                    Output::Job(job) => {
                        self.keeper.begin(job);
                        busy = true;
                    }
                    Output::Report(report) => {
                        self.tell.send_replace(Some(report));
                    }
                    Output::Halt(reason) => panic!("the member halted: {reason}"),
                    Output::Reply { .. }
                    | Output::Close { .. }
                    | Output::Formed(_)
                    | Output::Left => {}
                }
            }
            if !written && !busy {
                return frames;
            }
            if written {
                let number = self.journal.sync().expect("memory takes it");
                self.node.handle(self.now(), Input::Persisted { number });
            }
            while busy {
                if let Progress::Done(done) = self.keeper.step().expect("memory takes it") {
                    self.node.handle(self.now(), Input::Done(done));
                    busy = false;
                }
            }
        }
    }
}
