//! Does the jobs of a member's store, a step at a time: see [`mvcc::job`].
//!
//! ```text
//!  DIR/store-00000003     the current generation
//!  DIR/store-00000004     the next one, while it is being filled
//!  DIR/reserve            nothing: room for the rest of memory when the disk is full, until the
//!                         current generation is large enough to have that in itself
//! ```
//!
//! A host that has threads gives the keeper one of its own and lets it take large steps; one that
//! has none lets it take a small step whenever nothing else is to be done.

use mvcc::Revision;
use mvcc::base::{SharedBase, Summary};
use mvcc::draft::{self, Move, Run};
use mvcc::job::{Done, Job, Source};
use mvcc::piece::{self, Rows};

use crate::directory::{Directory, name_of, numbered};
use crate::file::{File, FileError, FileErrorKind};
use crate::generation::{Change, Generation};

/// The files of generations are `store-00000001` and so on.
const KIND: &str = "store";

/// A run is moved in transactions of so many times the rows and marks of others: most runs in one,
/// which is quickest, and one of very many in several, as all of a transaction is written at its
/// end.
const MOVES: usize = 4;

/// So much larger a file gets for rows, about: pages of redb's have powers of two, and what is
/// overwritten stays until the next change.
const FILE_PER_ROWS: u64 = 3;

/// The file of no content.
const RESERVE: &str = "reserve";

/// How a keeper works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperOptions {
    /// Memory for the pages of a generation.
    pub cache_bytes: usize,
    /// Rows, or marks, that one step reads or writes.
    pub step_rows: usize,
    /// Steps that make one transaction of a job.
    pub job_steps: usize,
    /// So much of the disk is taken beforehand, and given up for the first job that finds no
    /// room: what is in memory then, and the deletions and compactions that clear the disk, have
    /// to get to the file first. 0 keeps none.
    pub reserve_bytes: u64,
}

/// How a job goes.
#[derive(Debug)]
pub enum Progress {
    /// It is done.
    Done(Done),
    /// It needs another step.
    More,
    /// It needs a file that the host has not opened yet.
    Waiting,
}

/// Keeps the generations of a store, and does one job at a time.
pub struct Keeper<D: Directory> {
    directory: D,
    options: KeeperOptions,
    current: Option<Kept>,
    next: Option<Next>,
    work: Option<Work>,
    /// A move whose first transactions are in the current generation: if it finds no room it goes
    /// on from here, as often as it takes.
    half: Option<Move>,
    reserve: Option<D::File>,
    /// A job found no room, and there is no reserve since then.
    spent: bool,
    /// There was no room, and the current generation may not have noticed yet what is free: its
    /// reserve, or what somebody read until now.
    short: bool,
}

/// A generation that is open.
struct Kept {
    number: u64,
    generation: Generation,
    summary: Summary,
}

/// The next generation, while it is being filled.
struct Next {
    kept: Kept,
    /// Of a copy: what it is a copy of, and where the copy goes on.
    copy: Option<(SharedBase, Option<Revision>)>,
}

/// The job that is under way.
enum Work {
    Job(Job),
    /// A run goes to the current generation, then to the next if that is a copy.
    Move {
        moving: Move,
        change: Change,
        to_next: bool,
    },
    Scrub {
        summary: Summary,
        change: Change,
        steps: usize,
    },
    Fill {
        rows: Rows,
        change: Change,
    },
    Copy {
        change: Change,
        steps: usize,
    },
}

impl Work {
    /// Whether it is the next generation that it changes.
    fn fills_next(&self) -> bool {
        match self {
            Self::Job(job) => {
                matches!(job, Job::Begin { .. } | Job::Fill(_) | Job::Copy | Job::Finish { .. })
            }
            Self::Fill { .. } | Self::Copy { .. } => true,
            Self::Move { .. } | Self::Scrub { .. } => false,
        }
    }
}

type Outcome<T> = Result<T, FileError>;

impl<D> Keeper<D>
where
    D: Directory,
    D::File: Send + Sync + 'static,
{
    /// Opens the current generation, if the log names one, and removes all others.
    ///
    /// # Errors
    /// If a file fails, or is not what it has to be.
    pub fn open(
        directory: D,
        options: KeeperOptions,
        current: Option<u64>,
    ) -> Outcome<(Self, Option<SharedBase>)> {
        let numbers = numbered(&directory, KIND)?;
        let mut keeper = Self {
            directory,
            options,
            current: None,
            next: None,
            work: None,
            half: None,
            reserve: None,
            spent: false,
            short: false,
        };
        let mut base = None;
        if let Some(number) = current {
            let name = name_of(KIND, number);
            if !numbers.contains(&number) {
                return Err(FileError::other(format!(
                    "the log names {name} as the store's file, and it is missing. Put it back, or \
                     replace this member"
                )));
            }
            let file = keeper.directory.open(&name)?;
            let file = file.ok_or_else(|| {
                FileError::other(format!("{name}: the host has not opened this file"))
            })?;
            let generation = Generation::open(file, options.cache_bytes, options.reserve_bytes)?;
            let found = generation.base()?.ok_or_else(|| {
                FileError::other(format!("{name} is not a complete store; replace this member"))
            })?;
            let summary = found.summary().clone();
            keeper.current = Some(Kept { number, generation, summary });
            base = Some(found);
        }
        for number in numbers.into_iter().filter(|number| Some(*number) != current) {
            // Filled when a crash came, or replaced and not gone yet.
            keeper.directory.remove(&name_of(KIND, number))?;
        }
        Ok((keeper, base))
    }

    /// Takes a job. The one before has to be done.
    pub fn begin(&mut self, job: Job) {
        debug_assert!(self.work.is_none(), "one job at a time");
        self.work = Some(Work::Job(job));
    }

    /// Whether a job is under way.
    pub fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Takes one step of the job.
    ///
    /// # Errors
    /// If a file fails. Nobody knows what is on the disk then: the member must not go on.
    pub fn step(&mut self) -> Outcome<Progress> {
        let Some(work) = self.work.take() else { return Ok(Progress::Waiting) };
        let fills = work.fills_next();
        let stepped = match work {
            Work::Job(job) => self.start(job),
            Work::Move { moving, change, to_next } => self.move_on(moving, change, to_next),
            Work::Scrub { summary, change, steps } => self.scrub_on(summary, change, steps),
            Work::Fill { rows, change } => self.fill_on(rows, change),
            Work::Copy { change, steps } => self.copy_on(change, steps),
        };
        match stepped {
            Err(error) if error.kind == FileErrorKind::NoSpace => {
                self.work = None;
                // A file that is filled gives back all that it took.
                let base = if fills { None } else { self.give_up_reserve()? };
                if let Some(next) = self.next.take_if(|_| fills) {
                    // What is in it is not what was counted.
                    self.remove(Some(next.kept))?;
                }
                Ok(Progress::Done(Done::NoSpace { why: error.text, base }))
            }
            stepped => stepped,
        }
    }

    fn start(&mut self, job: Job) -> Outcome<Progress> {
        match job {
            Job::Move { generation, run } => {
                if self.current.is_none() {
                    let again = Job::Move { generation, run: run.clone() };
                    let Some(kept) = self.make(generation)? else { return Ok(self.wait(again)) };
                    self.current = Some(kept);
                }
                self.settle()?;
                self.reserve_ahead(&run)?;
                let half = self.half.clone().filter(|half| half.run().is(&run));
                self.move_to(half.unwrap_or_else(|| Move::new(run)), false)
            }
            Job::Scrub => {
                self.settle()?;
                let kept = self.current()?;
                if !kept.summary.wants_scrub() {
                    return self.base();
                }
                let (summary, change) = (kept.summary.clone(), kept.generation.change()?);
                Ok(self.go_on(Work::Scrub { summary, change, steps: 0 }))
            }
            Job::Begin { generation, from } => self.start_next(generation, from),
            Job::Fill(piece) => {
                let next = self.next()?;
                let rows = match piece::rows_of(&piece) {
                    Ok(rows) => rows,
                    Err(damage) => return self.refuse(damage.0),
                };
                let change = next.kept.generation.change()?;
                Ok(self.go_on(Work::Fill { rows, change }))
            }
            Job::Copy => {
                let change = self.next()?.kept.generation.change()?;
                Ok(self.go_on(Work::Copy { change, steps: 0 }))
            }
            Job::Finish { summary } => self.finish(summary),
            Job::Switch => {
                let next = self.next.take().ok_or_else(no_next)?;
                let old = self.current.replace(next.kept);
                // What it had moved is in the one that goes.
                self.half = None;
                let gone = self.remove(old)?;
                self.keep_reserve()?;
                Ok(gone)
            }
            Job::Abandon => {
                let next = self.next.take();
                self.remove(next.map(|next| next.kept))
            }
        }
    }

    /// After a lack of room: lets the current generation notice what is free by now.
    fn settle(&mut self) -> Outcome<()> {
        if self.short {
            self.current()?.generation.settle()?;
            self.short = false;
        }
        Ok(())
    }

    fn start_next(&mut self, generation: u64, from: Source) -> Outcome<Progress> {
        let Some(kept) = self.make(generation)? else {
            return Ok(self.wait(Job::Begin { generation, from }));
        };
        let copy = match from {
            Source::Peer => None,
            Source::Here => {
                let base = self.current()?.generation.base()?;
                base.map(|base| (base, Some(Revision::first(0))))
            }
        };
        self.next = Some(Next { kept, copy });
        Ok(Progress::Done(Done::Ready))
    }

    /// Makes a generation, if the host has opened its file.
    fn make(&self, number: u64) -> Outcome<Option<Kept>> {
        let name = name_of(KIND, number);
        let Some(file) = self.directory.open(&name)? else { return Ok(None) };
        file.set_len(0)?;
        let KeeperOptions { cache_bytes, reserve_bytes, .. } = self.options;
        match Generation::open(file, cache_bytes, reserve_bytes) {
            Ok(generation) => Ok(Some(Kept { number, generation, summary: Summary::empty() })),
            Err(error) => {
                self.directory.remove(&name)?;
                Err(error)
            }
        }
    }

    fn move_to(&mut self, moving: Move, to_next: bool) -> Outcome<Progress> {
        let kept = self.target(to_next)?;
        let change = kept.generation.change()?;
        Ok(self.go_on(Work::Move { moving, change, to_next }))
    }

    fn move_on(
        &mut self,
        mut moving: Move,
        mut change: Change,
        to_next: bool,
    ) -> Outcome<Progress> {
        let rows = self.options.step_rows;
        let done = moving.is_done();
        if !done && change.changes() < MOVES * self.options.job_steps * rows {
            let moved = change.draft(|draft| moving.step(draft, rows));
            if to_next && moved.is_err() {
                return self.copy_failed(moved);
            }
            moved?;
            return Ok(self.go_on(Work::Move { moving, change, to_next }));
        }
        let kept = self.target(to_next)?;
        let summary = moving.run().summary(&kept.summary);
        // Of what is there in part the summary says nothing: nobody sees it.
        let arrives = done && !to_next;
        let committed = change.commit(Some(&summary).filter(|_| arrives), arrives);
        if to_next && committed.is_err() {
            return self.copy_failed(committed);
        }
        committed?;
        if !done {
            self.half = Some(moving.clone()).filter(|_| !to_next);
            return self.move_to(moving, to_next);
        }
        kept.summary = summary;
        self.half = None;
        match to_next || self.next.as_ref().is_none_or(|next| next.copy.is_none()) {
            true => self.base(),
            false => self.move_to(Move::new(moving.run().clone()), true),
        }
    }

    /// The copy cannot be kept up; the run itself has arrived.
    fn copy_failed(&mut self, failed: Outcome<()>) -> Outcome<Progress> {
        match failed {
            Err(error) if error.kind == FileErrorKind::NoSpace => {
                let next = self.next.take();
                self.remove(next.map(|next| next.kept))?;
                self.base()
            }
            Err(error) => Err(error),
            Ok(()) => self.base(),
        }
    }

    fn scrub_on(
        &mut self,
        mut summary: Summary,
        mut change: Change,
        steps: usize,
    ) -> Outcome<Progress> {
        if steps < self.options.job_steps && summary.wants_scrub() {
            let rows = self.options.step_rows;
            change.draft(|draft| draft::scrub(draft, &mut summary, rows))?;
            return Ok(self.go_on(Work::Scrub { summary, change, steps: steps + 1 }));
        }
        change.commit(Some(&summary), true)?;
        self.current()?.summary = summary;
        self.base()
    }

    fn fill_on(&mut self, mut rows: Rows, mut change: Change) -> Outcome<Progress> {
        let count = self.options.step_rows;
        let summary = &mut self.next()?.kept.summary;
        if rows.len() > 0 {
            let slice: Vec<_> = rows.by_ref().take(count).collect();
            // What is damaged here came from the peer, or the file failed.
            change.draft(|draft| draft::fill(draft, summary, slice))?;
            return Ok(self.go_on(Work::Fill { rows, change }));
        }
        change.commit(None, false)?;
        Ok(Progress::Done(Done::Ready))
    }

    fn copy_on(&mut self, mut change: Change, steps: usize) -> Outcome<Progress> {
        let Self { options, next, .. } = self;
        let next = next.as_mut().ok_or_else(no_next)?;
        let Some((of, place)) = &mut next.copy else { return Err(no_next()) };
        if let Some(from) = place.filter(|_| steps < options.job_steps) {
            let slice = piece::read_rows(&**of, from, options.step_rows);
            let (rows, onward) = slice.map_err(|damage| FileError::other(damage.0))?;
            *place = onward;
            let summary = &mut next.kept.summary;
            change.draft(|draft| draft::fill(draft, summary, rows))?;
            return Ok(self.go_on(Work::Copy { change, steps: steps + 1 }));
        }
        let all = place.is_none();
        change.commit(None, false)?;
        Ok(Progress::Done(Done::Copied { all }))
    }

    fn finish(&mut self, summary: Option<Summary>) -> Outcome<Progress> {
        let summary = match summary {
            Some(summary) => summary,
            None => self.current()?.summary.clone(),
        };
        let next = self.next()?;
        let (found, expected) = (next.kept.summary.bytes, summary.bytes);
        if found != expected {
            return self
                .refuse(format!("it has {found} bytes of rows, and should have {expected}"));
        }
        next.kept.generation.change()?.commit(Some(&summary), true)?;
        next.kept.summary = summary;
        next.copy = None;
        let base = next.kept.generation.base()?;
        Ok(Progress::Done(Done::Finished(base.ok_or_else(no_next)?)))
    }

    /// What fills the next generation is not what it has to be.
    fn refuse(&mut self, reason: String) -> Outcome<Progress> {
        let next = self.next.take();
        self.remove(next.map(|next| next.kept))?;
        Ok(Progress::Done(Done::Refused(reason)))
    }

    fn remove(&mut self, kept: Option<Kept>) -> Outcome<Progress> {
        if let Some(Kept { number, generation, .. }) = kept {
            drop(generation);
            self.directory.remove(&name_of(KIND, number))?;
        }
        Ok(Progress::Done(Done::Settled))
    }

    fn go_on(&mut self, work: Work) -> Progress {
        self.work = Some(work);
        Progress::More
    }

    fn wait(&mut self, job: Job) -> Progress {
        self.work = Some(Work::Job(job));
        Progress::Waiting
    }

    /// Before a run is moved.
    ///
    /// redb doubles its file when that is full. While that is small the reserve, a file, has room
    /// for it. Before it is not the reserve has to be inside: later there may be no room for that,
    /// and then there would be no way out.
    fn reserve_ahead(&mut self, run: &Run) -> Outcome<()> {
        if self.spent {
            return Ok(());
        }
        let kept = self.current()?;
        let rows = run.summary(&kept.summary).bytes - kept.summary.bytes;
        let length = kept.generation.length() + FILE_PER_ROWS * rows;
        self.reserve_inside(length)
    }

    /// Takes the reserve inside of the current generation's file, if that is too large for another
    /// one when it has this length.
    fn reserve_inside(&mut self, length: u64) -> Outcome<()> {
        let wanted = self.options.reserve_bytes;
        let generation = &self.current()?.generation;
        if wanted == 0 || length <= wanted || generation.has_reserve() {
            return Ok(());
        }
        generation.take_reserve()?;
        self.spent = false;
        self.empty_reserve()
    }

    /// After a job that found room. Whatever else needs it goes first.
    fn keep_reserve(&mut self) -> Outcome<()> {
        let (wanted, length) = (self.options.reserve_bytes, self.current()?.generation.length());
        match self.reserve_inside(length) {
            Err(error) if error.kind != FileErrorKind::NoSpace => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Beside a large file it would be of no use.
        if length > wanted {
            return Ok(());
        }
        let Some(reserve) = self.reserve()? else { return Ok(()) };
        if reserve.len()? < wanted {
            match reserve.set_len(wanted) {
                Ok(()) => self.spent = false,
                Err(_) => reserve.set_len(0)?,
            }
        }
        Ok(())
    }

    fn empty_reserve(&mut self) -> Outcome<()> {
        self.reserve()?.map_or(Ok(()), |reserve| reserve.set_len(0))
    }

    /// Makes room where there is none; the current generation, if that has less in it now.
    fn give_up_reserve(&mut self) -> Outcome<Option<SharedBase>> {
        self.empty_reserve()?;
        (self.spent, self.short) = (true, true);
        let Some(kept) = &self.current else { return Ok(None) };
        match kept.generation.give_up_reserve() {
            Ok(true) => kept.generation.base(),
            Ok(false) => Ok(None),
            Err(error) if error.kind == FileErrorKind::NoSpace => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file of no content, if one is kept and the host has opened it. That of the life before
    /// counts: the first job of this one may be the one that finds no room.
    fn reserve(&mut self) -> Outcome<Option<&D::File>> {
        if self.reserve.is_none() && self.options.reserve_bytes > 0 {
            self.reserve = match self.directory.open(RESERVE) {
                // Where there is no room for its name there is none for it.
                Err(error) if error.kind == FileErrorKind::NoSpace => None,
                opened => opened?,
            };
        }
        Ok(self.reserve.as_ref())
    }

    fn base(&mut self) -> Outcome<Progress> {
        self.keep_reserve()?;
        let base = self.current()?.generation.base()?;
        let base = base.ok_or_else(|| FileError::other("the store's file lost its summary"))?;
        Ok(Progress::Done(Done::Base(base)))
    }

    fn current(&mut self) -> Outcome<&mut Kept> {
        self.current.as_mut().ok_or_else(|| FileError::other("there is no current generation"))
    }

    fn next(&mut self) -> Outcome<&mut Next> {
        self.next.as_mut().ok_or_else(no_next)
    }

    fn target(&mut self, next: bool) -> Outcome<&mut Kept> {
        match next {
            true => Ok(&mut self.next()?.kept),
            false => self.current(),
        }
    }
}

/// The next generation is gone, for want of room; the only reason why it may be.
fn no_next() -> FileError {
    FileError::no_space("the next generation was given up for want of room")
}
