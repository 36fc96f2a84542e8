//! Watches that outlive their sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api::watch::{Event, WatchCreateRequest, WatchRequest, WatchResponse};

use crate::HELD_BYTES;
use crate::io::WatchId;

/// All watches that have not ended.
#[derive(Default)]
pub(crate) struct Watches {
    watches: BTreeMap<WatchId, Watch>,
    /// Those to be created in the session.
    pending: BTreeSet<WatchId>,
    /// Those whose creation was sent, in order: a refused one comes back without its id.
    creating: VecDeque<WatchId>,
    last: i64,
}

struct Watch {
    create: WatchCreateRequest,
    /// The first revision that the caller has not seen; 0 while "from now on" has no number.
    next: i64,
    /// The caller knows that it is created.
    told: bool,
    /// The revision whose end is not known. Invariant: all of one revision, `next` or later.
    held: Vec<Event>,
}

/// What to do about a member's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing of it is new, or nobody is there for it.
    Nothing,
    /// The caller gets this.
    Tell(WatchId, WatchResponse),
    /// The caller gets this, and the member is to stop.
    GiveUp(WatchId, WatchResponse),
}

impl Watches {
    pub(crate) fn next_id(&mut self) -> WatchId {
        self.last += 1;
        WatchId(self.last)
    }

    pub(crate) fn len(&self) -> usize {
        self.watches.len()
    }

    pub(crate) fn start(&mut self, id: WatchId, mut create: WatchCreateRequest) {
        create.watch_id = id.0;
        // Its fragments are put together again here.
        create.fragment = true;
        let next = create.start_revision;
        self.watches.insert(id, Watch { create, next, told: false, held: Vec::new() });
        self.pending.insert(id);
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next one to create in the session.
    pub(crate) fn create_next(&mut self) -> Option<WatchRequest> {
        let id = self.pending.pop_first()?;
        let watch = self.watches.get(&id)?;
        self.creating.push_back(id);
        let create = WatchCreateRequest { start_revision: watch.next, ..watch.create.clone() };
        Some(WatchRequest::Create(create))
    }

    /// The caller is gone. Says whether the member knows of the watch.
    pub(crate) fn end(&mut self, id: WatchId) -> bool {
        self.watches.remove(&id).is_some() && !self.pending.remove(&id)
    }

    /// The session is lost: all are to be created again.
    pub(crate) fn lost(&mut self) {
        self.creating.clear();
        for (id, watch) in &mut self.watches {
            watch.held.clear();
            self.pending.insert(*id);
        }
    }

    /// A member's answer in the session.
    pub(crate) fn hear(&mut self, mut response: WatchResponse) -> Heard {
        let Some(id) = self.whose(&response) else { return Heard::Nothing };
        response.watch_id = id.0;
        let Some(watch) = self.watches.get_mut(&id) else { return Heard::Nothing };
        if response.canceled {
            self.watches.remove(&id);
            self.pending.remove(&id);
            return Heard::Tell(id, response);
        }
        if watch.take(&mut response) {
            return Heard::Tell(id, response);
        }
        if watch.held_bytes() > HELD_BYTES {
            self.watches.remove(&id);
            let reason = format!("one revision has more than {HELD_BYTES} bytes of events");
            return Heard::GiveUp(id, canceled(id, reason));
        }
        Heard::Nothing
    }

    fn whose(&mut self, response: &WatchResponse) -> Option<WatchId> {
        if response.created && response.watch_id == -1 {
            return self.creating.pop_front();
        }
        let id = WatchId(response.watch_id);
        if response.created || response.canceled {
            self.creating.retain(|other| *other != id);
        }
        Some(id)
    }
}

impl Watch {
    /// Leaves in the answer what the caller has not seen; false if that is nothing.
    fn take(&mut self, response: &mut WatchResponse) -> bool {
        let fragment = std::mem::take(&mut response.fragment);
        let news = response.created && !self.told;
        let progress = !response.created && response.events.is_empty() && !fragment;
        let behind = response.header.revision.saturating_add(1) < self.next;
        if response.created {
            self.told = true;
            self.reach(response.header.revision, self.next == 0);
        }
        response.events = self.ready(std::mem::take(&mut response.events), fragment);
        if let Some(last) = response.events.last() {
            self.reach(last.kv.mod_revision, true);
            return true;
        }
        // No events up to there. A member that is behind would lead the caller back.
        self.reach(response.header.revision, progress);
        news || (progress && !behind)
    }

    /// Everything up to this revision was seen.
    fn reach(&mut self, revision: i64, reached: bool) {
        if reached {
            self.next = self.next.max(revision.saturating_add(1));
        }
    }

    /// The events of whole revisions that are new; holds those of the last while it may go on.
    fn ready(&mut self, events: Vec<Event>, fragment: bool) -> Vec<Event> {
        let next = self.next;
        self.held.extend(events.into_iter().filter(|event| event.kv.mod_revision >= next));
        let Some(last) = self.held.last().filter(|_| fragment) else {
            return std::mem::take(&mut self.held);
        };
        let last = last.kv.mod_revision;
        let whole = self.held.partition_point(|event| event.kv.mod_revision < last);
        let rest = self.held.split_off(whole);
        std::mem::replace(&mut self.held, rest)
    }

    fn held_bytes(&self) -> usize {
        let of = |kv: &api::kv::KeyValue| kv.key.len() + kv.value.len();
        let events = self.held.iter();
        events.map(|e| size_of::<Event>() + of(&e.kv) + e.prev_kv.as_ref().map_or(0, of)).sum()
    }
}

/// The client itself ends a watch.
pub(crate) fn canceled(id: WatchId, reason: impl Into<String>) -> WatchResponse {
    let cancel_reason = reason.into();
    WatchResponse { watch_id: id.0, canceled: true, cancel_reason, ..WatchResponse::default() }
}
