//! Golden scripts: a log in a directory in memory that crashes and fails by commands.
//!
//! * `open [id=N] [chunk=N] [reserve=N] [segment=N]` opens the log (again), `close` lets go of
//!   it. `append RECORD…` and its records are as in [`wal::testing`]; `sync`; `status`; `files`.
//! * `crash lose`, `crash keep`, `crash keep=N` (bytes) and `crash scatter=SEED` stop the
//!   machine. The log is closed by it.
//! * `fault fail|no-space|ignore|torn=N|flip=N` lets the next call to a file go wrong,
//!   `capacity N|none` fills the disk. `flip at=N [bit=N] [file=NAME]` damages the last file, or
//!   that one, `set_len N` cuts or grows it. `make NAME` makes a file, `lose NAME` removes one.
//!   `look` looks for room, as a host does in a while where there is little.

use std::error::Error;
use std::fmt::Write as _;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use crate::{
    Crash, Directory as _, Fault, Faults, FaultyDirectory, File as _, Log, LogOptions,
    MemDirectory, MemFile,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// All scripts by name, each with the output that it should have: for a runner without files.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("corrupt", include_str!("../tests/scripts/corrupt")),
    ("create", include_str!("../tests/scripts/create")),
    ("durable", include_str!("../tests/scripts/durable")),
    ("fail", include_str!("../tests/scripts/fail")),
    ("full", include_str!("../tests/scripts/full")),
    ("preallocate", include_str!("../tests/scripts/preallocate")),
    ("reserve", include_str!("../tests/scripts/reserve")),
    ("reserve_next", include_str!("../tests/scripts/reserve_next")),
    ("segments", include_str!("../tests/scripts/segments")),
];

/// Runs a script and gives it back with the output that it has now.
///
/// # Panics
/// If the script itself does not parse, or a command fails that is not expected to.
#[must_use]
pub fn run(script: &str) -> String {
    let mut runner = Script::new();
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| panic!("{error}"))
}

struct Script {
    directory: FaultyDirectory<MemDirectory>,
    log: Option<Log<FaultyDirectory<MemDirectory>>>,
}

impl Script {
    fn new() -> Self {
        let directory = FaultyDirectory::new(MemDirectory::new(), Faults::default());
        Self { directory, log: None }
    }

    fn log(&mut self) -> Outcome<&mut Log<FaultyDirectory<MemDirectory>>> {
        Ok(self.log.as_mut().ok_or("the log is not open")?)
    }

    fn open(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
        self.log = None;
        let mut number =
            |key, default: u64| args.take_key(key).map_or(Ok(default), str::parse::<u64>);
        let options = LogOptions {
            log_id: number("id", 1)?,
            preallocate: number("chunk", 256)?,
            reserve: number("reserve", 0)?,
            segment_bytes: number("segment", 1_000_000)?,
        };
        args.reject_next()?;
        let (log, recovered) = Log::open(self.directory.clone(), options)?;
        self.log = Some(log);
        Ok(wal::testing::show(&recovered))
    }

    /// The last file of the log, or the one of this name.
    fn file(&self, name: Option<&str>) -> Outcome<MemFile> {
        let mut names = self.directory.names()?;
        names.sort();
        let name = name.map(String::from).or_else(|| names.pop()).unwrap_or_default();
        Ok(self.directory.inner().file(&name).ok_or("no such file")?)
    }

    fn files(&self) -> Outcome<String> {
        let mut out = String::new();
        for (name, bytes) in self.directory.inner().image() {
            writeln!(out, "{name}: {} bytes", bytes.len())?;
        }
        Ok(out)
    }

    fn append(&mut self, command: &Command) -> Outcome<String> {
        let log = self.log()?;
        log.append(&wal::testing::batch(command, log.next())?)?;
        Ok(String::new())
    }

    fn status(&mut self) -> Outcome<String> {
        let file = self.file(None)?;
        let (syncs, unsynced, length) = (file.syncs(), file.unsynced_bytes(), file.len()?);
        let log = self.log()?;
        let usage = log.usage();
        let mut out = format!("next {}, durable {}\n", log.next(), log.durable());
        let low = if log.is_low() { ", low" } else { "" };
        writeln!(out, "end {}, reserved {}, room {}{low}", usage.end, usage.reserved, log.room())?;
        writeln!(out, "file: {length} bytes, {unsynced} not synced, {syncs} syncs")?;
        if let Some(failure) = log.failure() {
            writeln!(out, "stopped: {failure}")?;
        }
        Ok(out)
    }

    fn crash(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        let crash = match (args.next_pos(), args.next_key()) {
            (Some("lose"), None) => Crash::Lose,
            (Some("keep"), None) => Crash::Keep,
            (None, Some(("keep", bytes))) => Crash::KeepBytes(bytes.parse()?),
            (None, Some(("scatter", seed))) => Crash::Scatter(seed.parse()?),
            _ => return Err("crash lose, keep, keep=N or scatter=SEED".into()),
        };
        self.log = None;
        self.directory.set(Faults::default());
        self.directory.inner().crash(crash);
        Ok(())
    }

    fn fault(&self, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        self.directory.next(match (args.next_pos(), args.next_key()) {
            (Some("fail"), None) => Fault::Fail,
            (Some("no-space"), None) => Fault::NoSpace,
            (Some("ignore"), None) => Fault::Ignore,
            (None, Some(("torn", bytes))) => Fault::Torn(bytes.parse()?),
            (None, Some(("flip", draw))) => Fault::Flip(draw.parse()?),
            _ => return Err("fault fail, no-space, ignore, torn=N or flip=N".into()),
        });
        Ok(())
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "open" => return self.open(&mut args),
            "append" => return self.append(command),
            "status" => return self.status(),
            "sync" => return Ok(format!("durable {}", self.log()?.sync()?)),
            "close" => self.log = None,
            "look" => self.log()?.look_for_room()?,
            "crash" => self.crash(&mut args)?,
            "fault" => self.fault(&mut args)?,
            "capacity" => {
                let bytes = args.next_pos().filter(|bytes| *bytes != "none");
                self.directory.set_capacity(bytes.map(str::parse).transpose()?);
            }
            "files" => return self.files(),
            "make" => drop(self.directory.open(args.next_pos().ok_or("make what?")?)?),
            "lose" => self.directory.remove(args.next_pos().ok_or("lose what?")?)?,
            "flip" => {
                let at = args.take_key("at").unwrap_or("0").parse()?;
                let bit = args.take_key("bit").unwrap_or("0").parse()?;
                self.file(args.take_key("file"))?.flip(at, bit);
            }
            "set_len" => self.file(None)?.set_len(args.next_pos().unwrap_or("0").parse()?)?,
            other => return Err(format!("{other} is no command").into()),
        }
        args.reject_next()?;
        Ok(String::new())
    }
}
