//! Golden scripts: commands to a store and its watches, and what comes of them.
//!
//! [`run`] is a function of a string and [`SCRIPTS`] has them all built in, so that the same
//! scripts run natively and in wasm.
//!
//! ```text
//!  put a=1 [lease=N] [prev_kv] [ignore_value] [ignore_lease]
//!  put a size=N                             a value of N bytes
//!  get KEYS [limit=N] [rev=N] [order=asc|desc] [by=key|version|create|mod|value]
//!           [keys_only] [count_only] [min_mod=N] [max_mod=N] [min_create=N] [max_create=N]
//!  del KEYS [prev_kv]
//!  txn NAME if COMPARE… then OP… else OP…    each compare and operation is one quoted word
//!  define NAME if … then … else …            for the operation "txn NAME"
//!  compact REV     hash [rev=N]     status     rows
//!  freeze   arrive [SLICE]   scrub [SLICE]   what a host does with the base, in its own time;
//!                                           `compact` does all of it, unless tagged [lazy]
//!  fill PREFIX N                             puts N keys, each at its own revision
//!  pace EVENTS ROWS                          small slices: events in an answer, rows in a step
//!  watch KEYS [session=N] [id=N] [rev=N] [no_put] [no_delete] [prev_kv] [progress] [fragment]
//!  cancel ID [session=N]   progress [session=N]   end|hold|release [session=N]
//!  changed   step   drain   notify           what Watchers does
//!
//!  KEYS     a   or  a..c   or  a..  (from a on)   or  a*  (all that begin with it)
//!  COMPARE  "version(KEYS) = 1", create, mod, lease, value; with =, !=, <, >
//! ```
//!
//! A request goes through [`check`] first, unless the command has the tag
//! `[unchecked]`.

mod args;
mod base;
mod print;
mod scripts;
mod txn;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

use api::kv::{PutRequest, ResponseOp, TxnRequest, TxnResponse};
use api::session::Request;
use api::watch::{WatchCreateRequest, WatchRequest};

use crate::{Slice, Step, Store, TxnReading, Watchers, Writing, check};
use args::Args;
pub use base::{MemBase, Mover};
pub use scripts::SCRIPTS;

/// Runs a script and answers it with its output filled in, or with what is wrong with it.
pub fn run(script: &str) -> String {
    let mut runner = Runner::new();
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| error.to_string())
}

/// Runs a transaction that only reads, in the smallest slices.
///
/// # Errors
/// Those of the transaction.
pub fn read_txn(store: &Store, txn: &TxnRequest) -> api::Result<TxnResponse> {
    let mut reading = TxnReading::new(store, txn.clone());
    loop {
        if let Some(response) = reading.step(store, &mut Slice::new(1))? {
            return Ok(response);
        }
    }
}

/// Writes in slices of so many keys, and does something between them.
///
/// # Errors
/// Those of the write.
pub fn write_in_slices(
    store: &mut Store,
    mut writing: Writing,
    keys: usize,
    mut between: impl FnMut(&mut Store),
) -> api::Result<ResponseOp> {
    loop {
        if let Some(response) = writing.step(store, &mut Slice::new(keys))? {
            return Ok(response);
        }
        between(store);
    }
}

type Outcome = Result<String, Box<dyn Error>>;

struct Runner {
    store: Store,
    mover: Mover,
    watchers: Watchers,
    defined: BTreeMap<String, TxnRequest>,
}

impl Runner {
    fn new() -> Self {
        let store = Store::new();
        let watchers = Watchers::new(&store);
        Self { store, mover: Mover::default(), watchers, defined: BTreeMap::new() }
    }

    fn request(&mut self, request: &Request, unchecked: bool) -> Outcome {
        if !unchecked {
            check::request(request)?;
        }
        Ok(match request {
            Request::Range(range) => print::range(&self.store.range(range)?),
            Request::Put(put) => print::put(&self.store.put(put)?),
            Request::DeleteRange(delete) => print::delete_range(&self.store.delete_range(delete)?),
            Request::Txn(txn) => self.txn(txn)?,
            // Not of the store.
            _ => String::new(),
        })
    }

    /// Runs a transaction in all ways that it can be, which must agree.
    fn txn(&mut self, txn: &TxnRequest) -> Outcome {
        let read = check::is_read_only(txn).then(|| read_txn(&self.store, txn));
        let mut sliced = self.store.clone();
        let writing = Writing::txn(&sliced, txn.clone());
        let sliced = write_in_slices(&mut sliced, writing, 1, |_| {});
        let written = self.store.txn(txn);
        if read.is_some_and(|read| read != written) {
            return Err("what is read and what is written differ".into());
        }
        if sliced != written.clone().map(ResponseOp::Txn) {
            return Err("what is written at once and in slices differs".into());
        }
        let mut output = print::txn(&written?);
        if check::is_read_only(txn) {
            let kind = if check::is_serializable(txn) { "serializable" } else { "linearizable" };
            writeln!(output, "read only, {kind}")?;
        }
        Ok(output)
    }

    fn fill(&mut self, args: &mut Args) -> Outcome {
        let prefix = args.word()?;
        let count: usize = args.word()?.parse()?;
        let digits = count.to_string().len();
        for n in 0..count {
            let key = format!("{prefix}{n:0digits$}").into_bytes().into();
            self.store.put(&PutRequest { key, ..PutRequest::default() })?;
        }
        Ok(format!("rev={}\n", self.store.revision()))
    }

    fn watch(&mut self, args: &mut Args) -> Outcome {
        let session = args.number("session")?.unwrap_or(1);
        let (key, range_end) = args.keys()?;
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: args.number("rev")?.unwrap_or_default(),
            progress_notify: args.flag("progress"),
            no_put: args.flag("no_put"),
            no_delete: args.flag("no_delete"),
            prev_kv: args.flag("prev_kv"),
            watch_id: args.number("id")?.unwrap_or_default(),
            fragment: args.flag("fragment"),
        };
        self.watchers.request(&self.store, session, &WatchRequest::Create(create))?;
        Ok(self.answers())
    }

    fn on_watches(&mut self, name: &str, args: &mut Args) -> Outcome {
        let session = args.number("session")?.unwrap_or(1);
        match name {
            "cancel" => {
                let request = WatchRequest::Cancel(args.word()?.parse()?);
                self.watchers.request(&self.store, session, &request)?;
            }
            "progress" => self.watchers.request(&self.store, session, &WatchRequest::Progress)?,
            "notify" => self.watchers.notify_progress(&self.store)?,
            "changed" => drop(self.watchers.changed(&self.store)?),
            "end" => self.watchers.end(session),
            "hold" => self.watchers.hold(session, true),
            _ => self.watchers.hold(session, false),
        }
        Ok(self.answers())
    }

    /// What the last request left to say, without a step of any watch.
    fn answers(&mut self) -> String {
        print::messages(&self.watchers.take_answers())
    }

    fn step(&mut self) -> Outcome {
        let Step { messages, more } = self.watchers.step(&self.store)?;
        let mut output = print::messages(&messages);
        if more {
            output.push_str("more\n");
        }
        Ok(output)
    }

    fn drain(&mut self) -> Outcome {
        let mut output = String::new();
        loop {
            let Step { messages, more } = self.watchers.step(&self.store)?;
            output.push_str(&print::messages(&messages));
            if !more {
                return Ok(output);
            }
        }
    }

    fn compact(&mut self, revision: i64, lazy: bool) -> Outcome {
        self.store.compact(revision)?;
        if !lazy {
            self.mover.settle(&mut self.store);
        }
        Ok(print::status(&self.store))
    }
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &Self::Command, context: &goldenscript::Context) -> Outcome {
        let args = &mut Args::of(command);
        let unchecked = context.tags.contains("unchecked");
        let output = match command.name.as_str() {
            "txn" => {
                let request = Request::Txn(txn::parse(args, &self.defined)?);
                self.request(&request, unchecked)?
            }
            "define" => {
                let name = args.word()?;
                let txn = txn::parse(args, &self.defined)?;
                self.defined.insert(name, txn);
                String::new()
            }
            "compact" => self.compact(args.word()?.parse()?, context.tags.contains("lazy"))?,
            "freeze" => {
                self.mover.freeze(&mut self.store);
                String::new()
            }
            "arrive" => {
                self.mover.arrive(&mut self.store, args.slice()?);
                String::new()
            }
            "scrub" => match self.mover.scrub(&mut self.store, args.slice()?) {
                true => print::status(&self.store),
                false => "nothing to drop\n".into(),
            },
            "hash" => print::hash(self.store.hash(args.number("rev")?.unwrap_or_default())?),
            "status" => print::status(&self.store),
            "rows" => print::rows(&self.store)?,
            "fill" => self.fill(args)?,
            "pace" => {
                let (events, rows) = (args.word()?.parse()?, args.word()?.parse()?);
                self.watchers = Watchers::with_pace(&self.store, events, rows);
                String::new()
            }
            "watch" => self.watch(args)?,
            "step" => self.step()?,
            "drain" => self.drain()?,
            name @ ("cancel" | "progress" | "notify" | "changed" | "end" | "hold" | "release") => {
                self.on_watches(name, args)?
            }
            name => self.request(&args::request(name, args)?, unchecked)?,
        };
        args.finish()?;
        Ok(output)
    }
}
