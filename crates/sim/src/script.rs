//! Golden scripts: commands to a cluster, and the account of what comes of them.
//!
//! [`run`] is a function of a string, so that the same scripts run natively and in wasm.
//!
//! ```text
//!  cluster N [seed=S] [learners=A,B] [latency=MS] [sync=MS]   places 1 to N, nothing runs
//!            [links=direct]                                    no hub between members
//!            [run=ENTRIES] [keep=ENTRIES] [quota=BYTES] [slice=KEYS]
//!            [kept=BYTES] [reads=KEYS] [rows=ROWS] [log=BYTES] see `Pace`
//!  place P member=M [cluster=C] [token=T] [initial=A,B]        one more directory
//!  trace KIND…              which lines to show: see `trace::Kind`; none for silence
//!  start [P…]               all that do not run, if none is named
//!  run MS                   lets so much time pass
//!  until led|formed|answered [ms=MS]     all follow one leader; all formed; all answers came
//!  put|get|del|txn|watch|… CLIENT …      see `request`; a client is a place or a console
//!  puts CLIENT COUNT [size=BYTES]        k0, k1 and so on
//!  crash P… [keep]          unsynced bytes are lost, or kept
//!  leave P   freeze P…   thaw P…   wipe P   copy P Q   save P NAME   roll-back P NAME
//!  hold-sync P   let-sync P   fill P BYTES   mend P       a disk that has so much room, or all
//!  slow P MS                so long it works before it does what it has put off
//!  full P   room P          much waits to be written to its link, or little again
//!  unlink P   link P   kill-hub   start-hub   console NAME [cluster=C]
//!  hold|drop|keep|double|delay [from=M] [to=P] [kind=K,K] [ms=MS]       a rule
//!  part P Q   clear         both directions dropped; no rule counts any more
//!  release [from=M] [to=P] [kind=K,K]                                   what is held
//!  forge from=M to=P kind=K [FIELD=N…]   a raft message in place of the next real frame
//!  garble from=M to=P       bytes that are nothing, likewise
//!  stray from=M to=P at=Q   the next real frame reaches another place
//!  noise P                  bytes that are no frame
//!  state   timeouts         what each place shows of itself; its election timeout
//! ```

mod forge;
mod requests;
mod state;

use std::collections::BTreeMap;
use std::error::Error;

use api::session::ServerMessage;
use goldenscript::{ArgumentConsumer, Command, Context};
use node::Pace;
use storage::Crash;

use crate::cluster::{Cluster, Settings};
use crate::disk::Image;
use crate::net::{Deed, Filter};
use crate::trace::Kind;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Names scripts, and takes their text in: there are no files in a browser.
macro_rules! scripts {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../scripts/", $name, ".txt"))),)*]
    };
}

/// All scripts, each with its name.
pub const ALL: &[(&str, &str)] = scripts![
    "all-crash",
    "all-frozen",
    "alarms",
    "bad-frames",
    "compaction",
    "console",
    "copied",
    "decider-wiped",
    "direct",
    "foreign-frames",
    "form-five",
    "form-one",
    "form-three",
    "formed-and-unformed",
    "frozen-leader",
    "full-disk",
    "full-link",
    "held",
    "hub-killed",
    "large-delete",
    "large-read",
    "large-watch",
    "late-frame-of-a-long-run",
    "leader-crash",
    "leader-crash-five",
    "leave",
    "no-quorum",
    "relink",
    "requests",
    "rolled-back",
    "sighting-pending",
    "snapshot",
    "snapshot-kept",
    "tokens",
    "trap-1-doubled-propose",
    "trap-1-late-propose",
    "trap-2-read-contexts",
    "trap-3-learner",
    "trap-4-bad-messages",
    "trap-5-applied-beyond-commit",
    "trap-6-timeouts",
    "trap-7-order-of-five",
    "trap-8-lost-snapshot",
    "watch",
    "wiped",
];

/// Runs a script and gives it back with the output that it really has.
///
/// # Panics
/// If the script is wrong.
#[must_use]
pub fn run(script: &str) -> String {
    let mut runner = Runner::default();
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| panic!("{error}"))
}

/// How long `until` waits, if the script does not say.
const PATIENCE_MS: u64 = 10_000;

/// The cluster's name and token, if the script does not say.
const NAME: &str = "default";
const TOKEN: &str = "token";

struct Runner {
    cluster: Cluster,
    saved: BTreeMap<String, Image>,
    /// The last request's number, and how many have no answer.
    requests: u64,
    open: i64,
}

impl Default for Runner {
    fn default() -> Self {
        let cluster = Cluster::new(Settings::default());
        Self { cluster, saved: BTreeMap::new(), requests: 0, open: 0 }
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String> {
        let text = self.command(command)?;
        self.count_answers();
        let mut lines = self.cluster.trace.take();
        lines.extend((!text.is_empty()).then_some(text));
        Ok(lines.join("\n"))
    }
}

impl Runner {
    fn command(&mut self, command: &Command) -> Result<String> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "cluster" => self.new_cluster(&mut args)?,
            "place" => self.place(&mut args)?,
            "trace" => self.trace(&mut args)?,
            "start" => return self.start(&mut args),
            "run" => {
                let until = self.cluster.now() + word(&mut args)?.parse::<u64>()?;
                self.cluster.run_until(until);
            }
            "until" => return self.until(&mut args),
            "crash" => self.crash(&mut args)?,
            "hold" | "drop" | "keep" | "double" | "delay" => {
                let delay = number(&mut args, "ms")?.unwrap_or(0);
                let deed = match command.name.as_str() {
                    "hold" => Deed::Hold,
                    "drop" => Deed::Drop,
                    "keep" => Deed::Keep,
                    "double" => Deed::Double,
                    _ => Deed::Delay(delay),
                };
                let filter = filter(&mut args);
                self.cluster.net.rule(filter, deed);
            }
            "clear" => self.cluster.net.clear(),
            "release" => {
                let count = self.cluster.release(&filter(&mut args));
                args.reject_next()?;
                return Ok(format!("{:>5} released {count}", self.cluster.now()));
            }
            "part" => {
                let (a, b) = (word(&mut args)?, word(&mut args)?);
                self.cluster.part(&a, &b);
            }
            "forge" => self.forge(&mut args)?,
            "garble" => {
                let (from, to) = ends(&mut args)?;
                self.replace(&from, &to, &[0xff; 9])?;
            }
            "stray" => {
                let at = args.take_key("at").ok_or("at which place?")?.to_string();
                let (from, to) = ends(&mut args)?;
                let until = self.cluster.now() + PATIENCE_MS;
                let bytes = self.cluster.catch(&from, &to, until).ok_or("no frame came")?;
                self.cluster.deliver(&at, bytes);
            }
            "kill-hub" => self.cluster.kill_hub(),
            "start-hub" => self.cluster.start_hub(),
            "console" => {
                let cluster = args.take_key("cluster").unwrap_or(NAME).to_string();
                self.cluster.console(&word(&mut args)?, &cluster);
            }
            "state" => return Ok(self.state()),
            "timeouts" => return Ok(self.timeouts()),
            other => return self.at_place(other, args),
        }
        args.reject_next()?;
        Ok(String::new())
    }

    /// Commands whose first word is a place, or a client.
    fn at_place(&mut self, verb: &str, mut args: ArgumentConsumer<'_>) -> Result<String> {
        let at = word(&mut args)?;
        match verb {
            "leave" => self.cluster.leave(&at),
            "freeze" | "thaw" => {
                let places = std::iter::once(at).chain(words(&mut args));
                match verb {
                    "freeze" => places.for_each(|place| self.cluster.freeze(&place)),
                    _ => places.for_each(|place| self.cluster.thaw(&place)),
                }
            }
            "wipe" => self.cluster.wipe(&at),
            "fill" => self.cluster.fill_disk(&at, word(&mut args)?.parse()?),
            "slow" => self.cluster.slow_turns(&at, word(&mut args)?.parse()?),
            "mend" => self.cluster.mend_disk(&at),
            "puts" => self.puts(&at, &mut args)?,
            "hold-sync" => self.cluster.hold_syncs(&at, true),
            "let-sync" => self.cluster.hold_syncs(&at, false),
            "full" => self.cluster.link_full(&at, true),
            "room" => self.cluster.link_full(&at, false),
            "unlink" => self.cluster.unlink(&at),
            "link" => self.cluster.link(&at),
            "noise" => self.cluster.deliver(&at, vec![0xff; 40]),
            "copy" => {
                let image = self.cluster.image(&at);
                self.cluster.set_disk(&word(&mut args)?, image);
            }
            "save" => {
                self.saved.insert(word(&mut args)?, self.cluster.image(&at));
            }
            "roll-back" => {
                let image = self.saved.get(&word(&mut args)?).ok_or("nothing was saved so")?;
                self.cluster.set_disk(&at, image.clone());
            }
            verb => return self.ask(verb, &at, args),
        }
        args.reject_next()?;
        Ok(String::new())
    }

    fn new_cluster(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let count: usize = word(args)?.parse()?;
        let defaults = Settings::default();
        let slice = number(args, "slice")?.map(usize::try_from).transpose()?;
        let kept = number(args, "kept")?.map(usize::try_from).transpose()?;
        let reads = number(args, "reads")?.map(usize::try_from).transpose()?;
        let rows = number(args, "rows")?.map(usize::try_from).transpose()?;
        let log = number(args, "log")?.map(usize::try_from).transpose()?;
        let pace = Pace {
            run_entries: number(args, "run")?.unwrap_or(defaults.pace.run_entries),
            keep_entries: number(args, "keep")?.unwrap_or(defaults.pace.keep_entries),
            keep_bytes: kept.unwrap_or(defaults.pace.keep_bytes),
            quota_bytes: number(args, "quota")?.unwrap_or(defaults.pace.quota_bytes),
            apply_entries: slice.unwrap_or(defaults.pace.apply_entries),
            read_keys: reads.unwrap_or(defaults.pace.read_keys),
            watch_rows: rows.unwrap_or(defaults.pace.watch_rows),
            log_bytes: log.unwrap_or(defaults.pace.log_bytes),
            ..defaults.pace
        };
        let settings = Settings {
            seed: number(args, "seed")?.unwrap_or(defaults.seed),
            latency_ms: number(args, "latency")?.unwrap_or(defaults.latency_ms),
            sync_ms: number(args, "sync")?.unwrap_or(defaults.sync_ms),
            learners: list(args.take_key("learners")),
            direct: args.take_key("links") == Some("direct"),
            lying_disks: false,
            pace,
        };
        *self = Self::default();
        self.cluster = Cluster::new(settings);
        let names: Vec<String> = (1..=count).map(|n| n.to_string()).collect();
        for name in &names {
            self.cluster.add(name, name, NAME, TOKEN, &names);
        }
        Ok(())
    }

    fn place(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let place = word(args)?;
        let member = args.take_key("member").unwrap_or(&place).to_string();
        let cluster = args.take_key("cluster").unwrap_or(NAME).to_string();
        let token = args.take_key("token").unwrap_or(TOKEN).to_string();
        let mut initial = list(args.take_key("initial"));
        if initial.is_empty() {
            initial = vec!["1".into(), "2".into(), "3".into()];
        }
        self.cluster.add(&place, &member, &cluster, &token, &initial);
        Ok(())
    }

    fn trace(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let mut kinds = Vec::new();
        while let Some(word) = args.next_pos() {
            kinds.push(Kind::named(word).ok_or_else(|| format!("no kind {word:?}"))?);
        }
        self.cluster.trace.show(kinds);
        Ok(())
    }

    fn start(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<String> {
        let mut places = words(args);
        if places.is_empty() {
            places = self.cluster.places();
            places.retain(|place| !self.cluster.is_running(place));
        }
        let mut failed = Vec::new();
        for place in places {
            if let Err(error) = self.cluster.start(&place) {
                failed.push(format!("{:>5} {place} does not start: {error}", self.cluster.now()));
            }
        }
        Ok(failed.join("\n"))
    }

    fn crash(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let (mut places, mut crash) = (words(args), Crash::Lose);
        if places.last().is_some_and(|word| word == "keep") {
            places.pop();
            crash = Crash::Keep;
        }
        places.iter().for_each(|place| self.cluster.crash(place, crash));
        Ok(())
    }

    fn until(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<String> {
        let what = word(args)?;
        let patience = number(args, "ms")?.unwrap_or(PATIENCE_MS);
        let until = self.cluster.now() + patience;
        let came = match what.as_str() {
            "led" => self.cluster.run_to(until, Cluster::is_led),
            "formed" => self.cluster.run_to(until, Cluster::is_formed),
            "answered" => {
                self.count_answers();
                let open = self.open;
                let answers = |cluster: &Cluster| {
                    let answer = |(_, m): &&(String, ServerMessage)| {
                        matches!(m, ServerMessage::Response { .. })
                    };
                    cluster.replies.iter().filter(answer).count() as i64
                };
                self.cluster.run_to(until, |cluster| answers(cluster) >= open)
            }
            other => return Err(format!("until {other:?}?").into()),
        };
        let not = if came { "" } else { "not " };
        Ok(format!("{:>5} {not}{what}", self.cluster.now()))
    }
}

fn word(args: &mut ArgumentConsumer<'_>) -> Result<String> {
    args.next_pos().map(str::to_string).ok_or_else(|| "a word is missing".into())
}

fn words(args: &mut ArgumentConsumer<'_>) -> Vec<String> {
    std::iter::from_fn(|| args.next_pos().map(str::to_string)).collect()
}

fn number(args: &mut ArgumentConsumer<'_>, key: &str) -> Result<Option<u64>> {
    Ok(args.take_key(key).map(str::parse).transpose()?)
}

fn list(text: Option<&str>) -> Vec<String> {
    text.map(|text| text.split(',').map(str::to_string).collect()).unwrap_or_default()
}

fn ends(args: &mut ArgumentConsumer<'_>) -> Result<(String, String)> {
    let from = args.take_key("from").ok_or("from whom?")?.to_string();
    let to = args.take_key("to").ok_or("to whom?")?.to_string();
    Ok((from, to))
}

fn filter(args: &mut ArgumentConsumer<'_>) -> Filter {
    Filter {
        from: args.take_key("from").map(str::to_string),
        to: args.take_key("to").map(str::to_string),
        kinds: list(args.take_key("kind")),
    }
}
