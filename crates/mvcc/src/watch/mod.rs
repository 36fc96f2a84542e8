//! Watches: who hears of which change.
//!
//! ```text
//!                    start in the past
//!        ┌─ create ──────────────────────►  behind(next)  ──┐ next below the compact revision:
//!        │                                   │   ▲          │ canceled
//!        │ start now or              caught  │   │ too much │
//!        │ in the future                 up  ▼   │ at once, └──►
//!        └─────────────────────────────────► synced   or held
//! ```
//!
//! A *synced* watch has been told everything up to [`Watchers::seen`]; it is found by key when
//! something changes. One that is *behind* reads history in slices, in turn with the others.
//! Nothing is ever dropped: a watch that cannot be served now is behind.

mod catch_up;
mod event;
mod live;
mod lookup;
mod request;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api::watch::{Event, WatchResponse};
use api::{Result, limits};
use litemap::LiteMap;

use crate::mark::Revision;
use crate::span::Span;
use crate::store::{Store, header};
use lookup::Lookup;

/// A watch: its session, and its id there.
type WatchKey = (u64, i64);

/// One watch.
#[derive(Clone, Debug)]
struct Watch {
    span: Span,
    /// First revision to tell of, as the client asked; 0 for whatever comes.
    start: i64,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
    fragment: bool,
    progress_notify: bool,
    /// Nothing was told since the last time progress was due.
    quiet: bool,
    /// Where it is in history; nothing for a synced watch.
    behind: Option<Behind>,
}

/// Where a watch reads on.
#[derive(Clone, Debug)]
struct Behind {
    /// The next change.
    next: Revision,
    /// What it has read of the same revision: that is told whole.
    events: Vec<Event>,
}

impl Behind {
    /// Where a revision begins.
    fn at(main: i64) -> Self {
        Self { next: Revision::first(main), events: Vec::new() }
    }

    /// Whether it has gathered a part of a revision.
    fn is_within(&self) -> bool {
        !self.events.is_empty()
    }
}

/// The watches of one session.
#[derive(Clone, Debug, Default)]
struct Session {
    watches: BTreeMap<i64, Watch>,
    /// Where to look for a free id.
    next_id: i64,
    /// The session cannot take more now.
    held: bool,
}

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Events in one answer: it ends with the revision that reaches this.
    batch_events: usize,
    /// Bytes in one answer, about; as above.
    batch_bytes: usize,
    /// Events told live at once, over all watches, and rows and watches looked at for them, about.
    /// Whoever would get more reads it from history.
    live_events: usize,
    /// Rows of history that one step reads, over all watches.
    step_rows: usize,
    /// Bytes of events that one step reads, over all watches, and hands out, about.
    step_bytes: usize,
}

const PACE: Pace = Pace {
    batch_events: limits::WATCH_BATCH_EVENTS,
    batch_bytes: 1024 * 1024,
    live_events: 10 * limits::WATCH_BATCH_EVENTS,
    step_rows: 10 * limits::WATCH_BATCH_EVENTS,
    step_bytes: 1024 * 1024,
};

/// What [`Watchers::step`] hands out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Who gets what, in order.
    pub messages: Vec<(u64, WatchResponse)>,
    /// True if watches are behind, or there is more to hand out: call again, soon.
    pub more: bool,
}

/// All watches of one member.
#[derive(Clone, Debug)]
pub struct Watchers {
    sessions: LiteMap<u64, Session>,
    /// Invariant: the number of watches in `sessions`.
    count: usize,
    /// Synced watches, by key.
    synced: Lookup<WatchKey>,
    /// Watches that are behind, of sessions that are not held.
    behind: BTreeSet<WatchKey>,
    /// Whose turn it is among `behind`.
    turn: WatchKey,
    /// Synced watches were told everything up to this revision, or to `rest`.
    seen: i64,
    /// From here on there was too much to tell it at once. It is looked through first: only whom it
    /// concerns falls behind. Nobody becomes synced meanwhile.
    rest: Option<Revision>,
    pace: Pace,
    /// What is to be handed out, in order.
    out: VecDeque<(u64, WatchResponse)>,
}

impl Watchers {
    /// No watches, over a store as it is now.
    pub fn new(store: &Store) -> Self {
        Self {
            sessions: LiteMap::new(),
            count: 0,
            synced: Lookup::default(),
            behind: BTreeSet::new(),
            turn: (0, i64::MIN),
            seen: store.revision(),
            rest: None,
            pace: PACE,
            out: VecDeque::new(),
        }
    }

    /// In slices of so many rows, at least one.
    #[must_use]
    pub fn in_slices(mut self, rows: usize) -> Self {
        (self.pace.live_events, self.pace.step_rows) = (rows.max(1), rows.max(1));
        self
    }

    /// No watches, that are served in small slices.
    #[cfg(feature = "testing")]
    pub fn with_pace(store: &Store, events: usize, rows: usize) -> Self {
        let pace = Pace { batch_events: events, ..PACE };
        Self { pace, ..Self::new(store) }.in_slices(rows)
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ends a session and its watches, without a word.
    pub fn end(&mut self, session: u64) {
        self.out.retain(|(to, _)| *to != session);
        let Some(ended) = self.sessions.remove(&session) else { return };
        self.count -= ended.watches.len();
        for (id, watch) in &ended.watches {
            self.synced.remove(&watch.span, (session, *id));
            self.behind.remove(&(session, *id));
        }
    }

    /// Says whether a session can take events now. While it is held its watches fall behind
    /// instead of filling memory; they read on from history when it is let go. Answers to its
    /// requests come all the same.
    pub fn hold(&mut self, session: u64, held: bool) {
        let state = self.sessions.entry(session).or_default();
        state.held = held;
        let behind = state.watches.iter().filter(|(_, watch)| watch.behind.is_some());
        for (id, _) in behind {
            if held {
                self.behind.remove(&(session, *id));
            } else {
                self.behind.insert((session, *id));
            }
        }
    }

    /// Tells the watches that asked for it, are synced and had no event since the last call
    /// how far they are. The caller decides how often (etcd: every ten minutes).
    pub fn notify_progress(&mut self, store: &Store) -> Result<()> {
        self.changed(store)?;
        let (revision, told) = (store.revision(), self.rest.is_none());
        for (session, state) in &mut self.sessions {
            for (id, watch) in &mut state.watches {
                let due = told
                    && watch.progress_notify
                    && watch.quiet
                    && watch.behind.is_none()
                    && watch.start <= revision;
                watch.quiet = true;
                if due {
                    let header = header(revision);
                    let response =
                        WatchResponse { header, watch_id: *id, ..WatchResponse::default() };
                    self.out.push_back((*session, response));
                }
            }
        }
        Ok(())
    }

    /// Tells synced watches what is new, lets those that are behind catch up by one slice, and
    /// hands out what there is to say. Its work is bounded. The events of one revision are told
    /// together, however many they are, but gathered by and by; whoever takes fragments is handed
    /// one after the other.
    #[must_use = "the messages are told once"]
    ///
    /// # Errors
    /// As all methods that read history: if what the store rests on is damaged.
    pub fn step(&mut self, store: &Store) -> Result<Step> {
        self.changed(store)?;
        match self.rest {
            Some(_) => self.look_through(store)?,
            None => self.catch_up(store)?,
        }
        let messages = self.hand_out();
        let more = !self.behind.is_empty() || self.rest.is_some() || !self.out.is_empty();
        Ok(Step { messages, more })
    }

    /// What there is to say, up to about as many bytes as a step may have.
    fn hand_out(&mut self) -> Vec<(u64, WatchResponse)> {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < self.pace.step_bytes
            && let Some((session, response)) = self.out.pop_front()
        {
            bytes += response.events.iter().map(event::weight).sum::<usize>();
            messages.push((session, response));
        }
        messages
    }

    /// Hands out the answers that are ready, without a step of any watch.
    #[cfg(feature = "testing")]
    pub(crate) fn take_answers(&mut self) -> Vec<(u64, WatchResponse)> {
        std::mem::take(&mut self.out).into()
    }

    fn watch(&mut self, (session, id): WatchKey) -> Option<&mut Watch> {
        self.sessions.get_mut(&session)?.watches.get_mut(&id)
    }

    /// Lets a watch read history from `next` on.
    fn fall_behind(&mut self, key: WatchKey, next: i64) {
        let Some(session) = self.sessions.get_mut(&key.0) else { return };
        let Some(watch) = session.watches.get_mut(&key.1) else { return };
        watch.behind = Some(Behind::at(next));
        self.synced.remove(&watch.span, key);
        if !session.held {
            self.behind.insert(key);
        }
    }

    /// Whether it is still being found out whom a large change concerns. What is compacted
    /// meanwhile would be lost to all watches: the next compaction had better wait.
    pub fn is_looking(&self) -> bool {
        self.rest.is_some()
    }

    /// Takes a watch out.
    fn remove(&mut self, key: WatchKey) -> Option<Watch> {
        let watch = self.sessions.get_mut(&key.0)?.watches.remove(&key.1)?;
        self.count -= 1;
        self.synced.remove(&watch.span, key);
        self.behind.remove(&key);
        Some(watch)
    }

    /// Queues events, all of whole revisions.
    fn send(&mut self, key: WatchKey, revision: i64, events: Vec<Event>) {
        let Some(watch) = self.watch(key) else { return };
        watch.quiet = false;
        let fragment = watch.fragment;
        let header = header(revision);
        let response =
            WatchResponse { header, watch_id: key.1, events, ..WatchResponse::default() };
        let pieces = if fragment { event::fragments(response) } else { vec![response] };
        self.out.extend(pieces.into_iter().map(|piece| (key.0, piece)));
    }
}
