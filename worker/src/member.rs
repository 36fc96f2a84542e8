//! One member: a node, its log and store, and the host around them.

use api::report::MemberReport;
use node::{Input, LinkId, LinkKind, Node, Output, Pace};
use serde::Serialize;
use storage::{Journal, Keeper, KeeperOptions, LogOptions, Opened, Progress};
use wasm_bindgen::prelude::*;

use crate::config::{Options, random};
use crate::disk::Disk;
use crate::host::Host;
use crate::panic;

/// A step of a job must hold up nobody: 50 ms are the most that a call may take.
const STEP_ROWS: usize = 200;
const JOB_STEPS: usize = 4;

/// What comes of a step of a job.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// There is nothing more to do.
    Done,
    /// There is: call `work` again, after what else there is.
    More,
    /// There is, once the file that was asked for last is open.
    Waiting,
}

/// The one link that a host in JavaScript has: to its relay.
const RELAY: LinkId = 0;

/// A member, from its start to its end. Every method takes the host's clock in milliseconds.
#[wasm_bindgen]
pub struct Member {
    node: Node,
    journal: Journal<Disk>,
    keeper: Keeper<Disk>,
    host: Host,
    /// The last batch that is written, or waits for room, and the last one that is synced.
    written: u64,
    synced: u64,
    torn: Option<String>,
}

#[wasm_bindgen]
impl Member {
    /// Starts the member that `options` names on its disk. Throws in words if that cannot be.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &Options, disk: &Disk, host: Host, now: f64) -> Result<Self, JsError> {
        panic::keep_text();
        let config = options.config().map_err(|error| JsError::new(&error))?;
        let log_id = random().map_err(|error| JsError::new(&error))?;
        let keeper = KeeperOptions {
            cache_bytes: options.cache_bytes(),
            step_rows: STEP_ROWS,
            job_steps: JOB_STEPS,
            reserve_bytes: Pace::WORKER.reserve_bytes(),
        };
        let log = LogOptions::new(log_id, Pace::WORKER.log_reserve_bytes());
        let opened = Opened::open(disk.clone(), log, keeper, node::generation)?;
        let Opened { journal, keeper, recovered, base } = opened;
        let node = Node::new(config, millis(now), &recovered, base)?;
        let last = recovered.next - 1;
        let torn = recovered.torn.map(|torn| torn.to_string());
        let mut member = Self { node, journal, keeper, host, written: last, synced: last, torn };
        member.drain(now);
        Ok(member)
    }

    /// What a crash had left at the end of the log, in words, if there was something.
    #[wasm_bindgen(getter)]
    pub fn torn(&self) -> Option<String> {
        self.torn.clone()
    }

    /// The socket to the relay is open.
    #[wasm_bindgen(js_name = linkUp)]
    pub fn link_up(&mut self, now: f64) {
        self.handle(now, Input::LinkUp { link: RELAY, kind: LinkKind::Relay });
    }

    /// The socket to the relay is closed.
    #[wasm_bindgen(js_name = linkDown)]
    pub fn link_down(&mut self, now: f64) {
        self.handle(now, Input::LinkDown { link: RELAY });
    }

    /// The socket to the relay had much to write and has room again.
    #[wasm_bindgen(js_name = linkRoom)]
    pub fn link_room(&mut self, now: f64) {
        self.handle(now, Input::LinkRoom { link: RELAY });
    }

    /// A frame came from the relay.
    pub fn frame(&mut self, now: f64, bytes: &[u8]) {
        self.handle(now, Input::Frame { link: RELAY, bytes });
    }

    /// A client at this host says something; `body` is a `ClientMessage`.
    pub fn client(&mut self, now: f64, session: f64, body: &[u8]) {
        self.handle(now, Input::Client { session: session as u64, body });
    }

    /// Time has passed.
    pub fn tick(&mut self, now: f64) {
        self.handle(now, Input::Tick);
    }

    /// Hand over what is to be handed over, then say `left`.
    pub fn leave(&mut self, now: f64) {
        self.handle(now, Input::Leave);
    }

    /// Makes all that is written durable, with one flush. True if there is too little room: call
    /// again in a while.
    pub fn sync(&mut self, now: f64) -> bool {
        if self.synced == self.written && !self.journal.waits() {
            return false;
        }
        match self.journal.sync() {
            Ok(number) => {
                self.tell_room(now);
                if number > self.synced {
                    self.synced = number;
                    self.handle(now, Input::Persisted { number });
                }
            }
            Err(error) => self.fail(&error.to_string()),
        }
        self.journal.waits()
    }

    /// Does a step of what is to be done beside all else.
    pub fn work(&mut self, now: f64) -> Work {
        if !self.keeper.is_busy() {
            return Work::Done;
        }
        match self.keeper.step() {
            Ok(Progress::Done(done)) => {
                self.handle(now, Input::Done(done));
                // What comes next has asked for itself.
                Work::Done
            }
            Ok(Progress::More) => Work::More,
            Ok(Progress::Waiting) => Work::Waiting,
            Err(error) => {
                self.fail(&error.to_string());
                Work::Done
            }
        }
    }

    /// When to call `tick` at the latest.
    #[wasm_bindgen(js_name = wakeAt)]
    pub fn wake_at(&self) -> f64 {
        self.node.wake_at() as f64
    }
}

impl Member {
    fn handle(&mut self, now: f64, input: Input<'_>) {
        self.node.handle(millis(now), input);
        self.drain(now);
    }

    /// Does what the node wants done.
    fn drain(&mut self, now: f64) {
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send { link, frame } => {
                    if self.host.send(frame) {
                        self.node.handle(millis(now), Input::LinkFull { link });
                    }
                }
                Output::Persist(batch) => {
                    self.written = batch.number;
                    if let Err(error) = self.journal.append(batch) {
                        return self.fail(&error.to_string());
                    }
                    self.tell_room(now);
                }
                Output::Job(job) => {
                    self.keeper.begin(job);
                    self.host.want_work();
                }
                Output::Reply { session, body } => self.host.reply(session as f64, body),
                Output::Report(report) => self.host.report(to_js(&report)),
                Output::Formed(cluster) => self.host.formed(cluster.0),
                Output::Left => self.host.left(),
                Output::Halt(reason) => self.host.halted(reason),
                // A node closes links to peers only.
                Output::Close { .. } => {}
            }
        }
        if self.written > self.synced {
            self.host.want_sync();
        }
    }

    /// Tells the node how its log stands for room, if that is news.
    fn tell_room(&mut self, now: f64) {
        if let Some(room) = self.journal.room() {
            self.node.handle(millis(now), Input::Room { bytes: room.bytes, low: room.low });
        }
    }

    /// What cannot be written cannot be promised: the member stops, and reveals nothing of it.
    fn fail(&mut self, reason: &str) {
        self.host.halted(reason.into());
    }
}

fn to_js(report: &MemberReport) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new()
        .serialize_large_number_types_as_bigints(true)
        .serialize_missing_as_null(true);
    report.serialize(&serializer).expect("a report is plain data, which JavaScript can hold")
}

/// `performance.now()` has fractions.
fn millis(now: f64) -> u64 {
    now as u64
}
