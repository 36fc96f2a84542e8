//! Answers as text: one line for each, one for each pair or event in it.

use std::fmt::Write as _;

use api::Result;
use api::kv::{DeleteRangeResponse, KeyValue, PutResponse, RangeResponse, ResponseOp, TxnResponse};
use api::watch::{Event, EventType, WatchResponse};

use crate::Revision;
use crate::mark::is_tombstone;
use crate::{Hash, Store, encode};

/// Events of one answer that are written out.
const EVENTS_SHOWN: usize = 8;

/// Writing to a string does not fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {
        writeln!($out, $($arg)*).expect("writing to a string does not fail")
    };
}

pub(super) fn range(response: &RangeResponse) -> String {
    let RangeResponse { header, kvs, more, count } = response;
    let more = if *more { " more" } else { "" };
    let mut out = format!("rev={} count={count}{more}\n", header.revision);
    for pair in kvs {
        line!(out, "  {}", kv(pair));
    }
    out
}

pub(super) fn put(response: &PutResponse) -> String {
    let mut out = format!("rev={}\n", response.header.revision);
    if let Some(prev) = &response.prev_kv {
        line!(out, "  was {}", kv(prev));
    }
    out
}

pub(super) fn delete_range(response: &DeleteRangeResponse) -> String {
    let mut out = format!("rev={} deleted={}\n", response.header.revision, response.deleted);
    for prev in &response.prev_kvs {
        line!(out, "  was {}", kv(prev));
    }
    out
}

pub(super) fn txn(response: &TxnResponse) -> String {
    let outcome = if response.succeeded { "succeeded" } else { "failed" };
    let mut out = format!("rev={} {outcome}\n", response.header.revision);
    for op in &response.responses {
        let (name, text) = match op {
            ResponseOp::Range(response) => ("get", range(response)),
            ResponseOp::Put(response) => ("put", put(response)),
            ResponseOp::DeleteRange(response) => ("del", delete_range(response)),
            ResponseOp::Txn(response) => ("txn", txn(response)),
        };
        let mut lines = text.lines();
        line!(out, "  {name} {}", lines.next().unwrap_or_default());
        lines.for_each(|text| line!(out, "  {text}"));
    }
    out
}

pub(super) fn status(store: &Store) -> String {
    let (revision, compact) = (store.revision(), store.compact_revision());
    format!("rev={revision} compact={compact} bytes={}\n", store.bytes())
}

pub(super) fn hash(hash: Hash) -> String {
    let Hash { hash, revision, compact_revision } = hash;
    format!("hash={hash:08x} rev={revision} compact={compact_revision}\n")
}

/// Every row that is kept, and what the index makes of its key.
pub(super) fn rows(store: &Store) -> Result<String> {
    let mut out = String::new();
    let mut bytes = 0;
    for item in store.rows(Revision::first(0), i64::MAX) {
        let (at, row) = item?;
        let gone = is_tombstone(&row);
        let what = if gone { format!("{} deleted", text(&row.key)) } else { kv(&row) };
        line!(out, "{}.{} {what}", at.main, at.sub);
        bytes += encode::row_bytes(&row);
        let mut marks = store.versions(&row.key, at.main);
        if !marks.any(|mark| mark.is_ok_and(|mark| mark.at == at)) {
            line!(out, "    but the index does not know it");
        }
    }
    if bytes != store.bytes() {
        line!(out, "bytes are counted wrong: {} are {bytes}", store.bytes());
    }
    Ok(out)
}

pub(super) fn messages(messages: &[(u64, WatchResponse)]) -> String {
    let mut out = String::new();
    for (session, response) in messages {
        let WatchResponse {
            header,
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events,
        } = response;
        let mut words = format!("session={session} watch={watch_id} rev={}", header.revision);
        for (word, set) in [("created", created), ("canceled", canceled), ("fragment", fragment)] {
            if *set {
                words.push(' ');
                words.push_str(word);
            }
        }
        if *compact_revision != 0 {
            words.push_str(&format!(" compact={compact_revision}"));
        }
        if !cancel_reason.is_empty() {
            words.push_str(&format!(" reason={cancel_reason:?}"));
        }
        line!(out, "{words}");
        write_events(&mut out, events);
    }
    out
}

/// All events if they are few, else the first and the last.
fn write_events(out: &mut String, events: &[Event]) {
    if events.len() <= EVENTS_SHOWN {
        events.iter().for_each(|event| line!(out, "  {}", one_event(event)));
        return;
    }
    line!(out, "  {}", one_event(&events[0]));
    line!(out, "  … {} more …", events.len() - 2);
    line!(out, "  {}", one_event(&events[events.len() - 1]));
}

fn one_event(event: &Event) -> String {
    let mut out = match event.kind {
        EventType::Put => format!("PUT {}", kv(&event.kv)),
        EventType::Delete => {
            format!("DELETE {} mod={}", text(&event.kv.key), event.kv.mod_revision)
        }
    };
    if let Some(prev) = &event.prev_kv {
        out.push_str(&format!(" was {}", kv(prev)));
    }
    out
}

fn kv(kv: &KeyValue) -> String {
    let KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
    let mut out = format!("{}={}", text(key), text(value));
    out.push_str(&format!(" create={create_revision} mod={mod_revision} version={version}"));
    if *lease != 0 {
        out.push_str(&format!(" lease={lease}"));
    }
    out
}

/// Bytes as text; long ones shortened.
fn text(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let shown = bytes.escape_ascii().take(SHOWN).map(char::from).collect::<String>();
    if bytes.len() > SHOWN { format!("{shown}…({} bytes)", bytes.len()) } else { shown }
}
