//! From rows to events, and from events to answers.

use api::kv::KeyValue;
use api::watch::{Event, EventType, WatchResponse};
use api::{Result, limits};

use super::Watch;
use crate::mark::is_tombstone;
use crate::store::Store;

/// What an answer may weigh before it is split for a client that asked for it.
const FRAGMENT_BYTES: usize = limits::REQUEST_BYTES + limits::REQUEST_OVERHEAD_BYTES;

/// What an event weighs beside keys and values: a generous guess at tags and integers.
const EVENT_BYTES: usize = 64;

/// The event of a change, if the watch wants to hear of it.
pub(crate) fn event(store: &Store, watch: &Watch, row: &KeyValue) -> Result<Option<Event>> {
    let deleted = is_tombstone(row);
    let unwanted = if deleted { watch.no_delete } else { watch.no_put };
    if unwanted {
        return Ok(None);
    }
    let kind = if deleted { EventType::Delete } else { EventType::Put };
    let prev_kv = if watch.prev_kv { before(store, row)? } else { None };
    Ok(Some(Event { kind, kv: row.clone(), prev_kv }))
}

/// What the key was before the revision of a change, if it was and that is still kept.
fn before(store: &Store, row: &KeyValue) -> Result<Option<KeyValue>> {
    let revision = row.mod_revision - 1;
    let created = row.create_revision == row.mod_revision;
    if created || revision < store.compact_revision() {
        return Ok(None);
    }
    let mark = store.live_mark(&row.key, revision)?;
    mark.map(|mark| store.row(mark)).transpose()
}

/// What events weigh in a message, about.
pub(crate) fn weight(event: &Event) -> usize {
    let kv = |kv: &KeyValue| kv.key.len() + kv.value.len();
    EVENT_BYTES + kv(&event.kv) + event.prev_kv.as_ref().map_or(0, kv)
}

/// Splits an answer into pieces that a message can carry. An event is never split.
pub(crate) fn fragments(mut response: WatchResponse) -> Vec<WatchResponse> {
    let total: usize = response.events.iter().map(weight).sum();
    if total < FRAGMENT_BYTES {
        return vec![response];
    }
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut bytes = 0;
    for event in std::mem::take(&mut response.events) {
        let weight = weight(&event);
        if !piece.is_empty() && bytes + weight >= FRAGMENT_BYTES {
            let events = std::mem::take(&mut piece);
            pieces.push(WatchResponse { events, fragment: true, ..response.clone() });
            bytes = 0;
        }
        bytes += weight;
        piece.push(event);
    }
    pieces.push(WatchResponse { events: piece, ..response });
    pieces
}
