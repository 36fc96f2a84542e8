//! Golden scripts: a log on a file in memory that crashes and fails by commands.
//!
//! * `open [id=N] [chunk=N]` opens the log (again), `close` lets go of it. `append RECORD…`
//!   and its records are as in [`wal::testing`]; `sync`; `status`.
//! * `crash lose`, `crash keep`, `crash keep=N` (bytes) and `crash scatter=SEED` stop the
//!   machine. The log is closed by it.
//! * `fault fail|no-space|ignore|torn=N|flip=N` lets the next call to the file go wrong,
//!   `capacity N|none` fills the disk. `flip at=N [bit=N]` damages it, `set_len N` cuts or
//!   grows it.

use std::error::Error;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use crate::{Crash, Fault, Faults, Faulty, File as _, Log, MemFile, Options};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// All scripts by name, each with the output that it should have: for a runner without files.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("corrupt", include_str!("../tests/scripts/corrupt")),
    ("create", include_str!("../tests/scripts/create")),
    ("durable", include_str!("../tests/scripts/durable")),
    ("fail", include_str!("../tests/scripts/fail")),
    ("full", include_str!("../tests/scripts/full")),
    ("preallocate", include_str!("../tests/scripts/preallocate")),
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
    file: Faulty<MemFile>,
    log: Option<Log<Faulty<MemFile>>>,
}

impl Script {
    fn new() -> Self {
        Self { file: Faulty::new(MemFile::new(), Faults::default()), log: None }
    }

    fn log(&mut self) -> Outcome<&mut Log<Faulty<MemFile>>> {
        Ok(self.log.as_mut().ok_or("the log is not open")?)
    }

    fn open(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
        self.log = None;
        let log_id = args.take_key("id").unwrap_or("1").parse()?;
        let preallocate = args.take_key("chunk").unwrap_or("256").parse()?;
        args.reject_next()?;
        let (log, recovered) = Log::open(self.file.clone(), Options { log_id, preallocate })?;
        self.log = Some(log);
        Ok(wal::testing::show(&recovered))
    }

    fn append(&mut self, command: &Command) -> Outcome<String> {
        let log = self.log()?;
        log.append(&wal::testing::batch(command, log.next())?)?;
        Ok(String::new())
    }

    fn status(&mut self) -> Outcome<String> {
        let syncs = self.file.inner().syncs();
        let unsynced = self.file.inner().unsynced_bytes();
        let length = self.file.len()?;
        let log = self.log()?;
        let mut out = format!("next {}, durable {}\n", log.next(), log.durable());
        out += &format!("used {}, reserved {}\n", log.used_bytes(), log.reserved_bytes());
        out += &format!("file: {length} bytes, {unsynced} not synced, {syncs} syncs\n");
        if let Some(failure) = log.failure() {
            out += &format!("stopped: {failure}\n");
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
        self.file.set(Faults::default());
        self.file.inner().crash(crash);
        Ok(())
    }

    fn fault(&self, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
        self.file.next(match (args.next_pos(), args.next_key()) {
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
            "crash" => self.crash(&mut args)?,
            "fault" => self.fault(&mut args)?,
            "capacity" => {
                let bytes = args.next_pos().filter(|bytes| *bytes != "none");
                self.file.set_capacity(bytes.map(str::parse).transpose()?);
            }
            "flip" => {
                let at = args.take_key("at").unwrap_or("0").parse()?;
                self.file.inner().flip(at, args.take_key("bit").unwrap_or("0").parse()?);
            }
            "set_len" => self.file.inner().set_len(args.next_pos().unwrap_or("0").parse()?)?,
            other => return Err(format!("{other} is no command").into()),
        }
        args.reject_next()?;
        Ok(String::new())
    }
}
