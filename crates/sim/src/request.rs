//! Requests as scripts write them, and answers as traces show them.
//!
//! ```text
//!  put a=1 [prev]          get KEYS [serializable] [rev=N] [count]     del KEYS
//!  txn if "version(KEYS) = 0" then "put a=1" "keep a" else "get a"     keep: its old value
//!  watch KEYS [rev=N] [id=N]     unwatch ID     members [linearizable]     status     end
//!  compact REV [physical]        alarm get|disarm MEMBER     hashkv
//!
//!  KEYS   a   or  a..c  or  a..  (from a on)
//! ```

use std::error::Error;

use api::Bytes;
use api::cluster::MemberListRequest;
use api::kv::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeyValue,
    PutRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest,
};
use api::maintenance::{AlarmAction, AlarmRequest, AlarmType, HashKvRequest};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::watch::{EventType, WatchCreateRequest, WatchRequest, WatchResponse};
use goldenscript::{Argument, ArgumentConsumer};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Reads the words after a client's name. `id` numbers the request; `raft_id` is of a member.
pub(crate) fn parse(
    verb: &str,
    id: u64,
    mut args: ArgumentConsumer<'_>,
    raft_id: &dyn Fn(&str) -> Option<u64>,
) -> Result<ClientMessage> {
    let request = match verb {
        "put" => Request::Put(parse_put(&mut args)?),
        "get" => Request::Range(parse_get(&mut args)?),
        "del" => {
            let (key, range_end) = parse_keys(args.next_pos().ok_or("del what?")?);
            Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv: false })
        }
        "txn" => Request::Txn(parse_txn(&mut args)?),
        "members" => {
            let linearizable = args.next_pos() == Some("linearizable");
            Request::MemberList(MemberListRequest { linearizable })
        }
        "status" => Request::Status,
        "compact" => {
            let revision = args.next_pos().ok_or("compact what?")?.parse()?;
            let physical = args.next_pos() == Some("physical");
            Request::Compact(CompactRequest { revision, physical })
        }
        "alarm" => match args.next_pos() {
            Some("get") => Request::Alarm(AlarmRequest::default()),
            Some("disarm") => Request::Alarm(AlarmRequest {
                action: AlarmAction::Deactivate,
                member_id: args.next_pos().and_then(raft_id).ok_or("disarm whose?")?,
                alarm: Some(AlarmType::NoSpace),
            }),
            _ => return Err("alarm get or disarm".into()),
        },
        "hashkv" => Request::HashKv(HashKvRequest::default()),
        "watch" => return parse_watch(args),
        "unwatch" => {
            let id = args.next_pos().ok_or("unwatch what?")?.parse()?;
            return Ok(ClientMessage::Watch(WatchRequest::Cancel(id)));
        }
        "end" => return Ok(ClientMessage::End),
        other => return Err(format!("no request {other:?}").into()),
    };
    args.reject_next()?;
    Ok(ClientMessage::Request { id, request })
}

fn parse_put(args: &mut ArgumentConsumer<'_>) -> Result<PutRequest> {
    let mut put = PutRequest::default();
    if let Some(size) = args.take_key("size") {
        put.value = vec![b'x'; size.parse()?].into();
    }
    if let Some((key, value)) = args.next_key() {
        put.key = bytes(key);
        put.value = bytes(value);
    } else if let Some(key) = args.next_pos() {
        put.key = bytes(key);
    }
    while let Some(word) = args.next_pos() {
        match word {
            "prev" => put.prev_kv = true,
            other => return Err(format!("no {other:?} in a put").into()),
        }
    }
    Ok(put)
}

fn parse_get(args: &mut ArgumentConsumer<'_>) -> Result<RangeRequest> {
    let mut range = RangeRequest::default();
    if let Some(revision) = args.take_key("rev") {
        range.revision = revision.parse()?;
    }
    (range.key, range.range_end) = parse_keys(args.next_pos().ok_or("get what?")?);
    while let Some(word) = args.next_pos() {
        match word {
            "serializable" => range.serializable = true,
            "count" => range.count_only = true,
            other => return Err(format!("no {other:?} in a get").into()),
        }
    }
    Ok(range)
}

fn parse_watch(mut args: ArgumentConsumer<'_>) -> Result<ClientMessage> {
    let mut watch = WatchCreateRequest::default();
    if let Some(revision) = args.take_key("rev") {
        watch.start_revision = revision.parse()?;
    }
    if let Some(id) = args.take_key("id") {
        watch.watch_id = id.parse()?;
    }
    (watch.key, watch.range_end) = parse_keys(args.next_pos().ok_or("watch what?")?);
    args.reject_next()?;
    Ok(ClientMessage::Watch(WatchRequest::Create(watch)))
}

fn parse_txn(args: &mut ArgumentConsumer<'_>) -> Result<TxnRequest> {
    let mut txn = TxnRequest::default();
    let mut part = "";
    for argument in args.by_ref() {
        let Argument::Positional(word) = argument else { return Err("quote what txn does".into()) };
        match (part, word.as_str()) {
            (_, "if" | "then" | "else") => part = word,
            ("if", word) => txn.compare.push(parse_compare(word)?),
            ("then", word) => txn.success.push(parse_op(word)?),
            ("else", word) => txn.failure.push(parse_op(word)?),
            (_, word) => return Err(format!("{word:?} before if, then or else").into()),
        }
    }
    Ok(txn)
}

/// `version(a) = 1`, `create`, `mod` or `value`; `=`, `!=`, `<` or `>`.
fn parse_compare(text: &str) -> Result<Compare> {
    let wrong = || format!("no comparison: {text:?}");
    let (what, rest) = text.split_once('(').ok_or_else(wrong)?;
    let (key, rest) = rest.split_once(") ").ok_or_else(wrong)?;
    let (sign, value) = rest.split_once(' ').ok_or_else(wrong)?;
    let target = match what {
        "version" => CompareTarget::Version(value.parse()?),
        "create" => CompareTarget::Create(value.parse()?),
        "mod" => CompareTarget::Mod(value.parse()?),
        "value" => CompareTarget::Value(bytes(value)),
        _ => return Err(wrong().into()),
    };
    let result = match sign {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        "<" => CompareResult::Less,
        ">" => CompareResult::Greater,
        _ => return Err(wrong().into()),
    };
    let (key, range_end) = parse_keys(key);
    Ok(Compare { result, target, key, range_end })
}

fn parse_op(text: &str) -> Result<RequestOp> {
    let (verb, rest) = text.split_once(' ').ok_or_else(|| format!("no operation: {text:?}"))?;
    match verb {
        "keep" => {
            let key = bytes(rest);
            Ok(RequestOp::Put(PutRequest { key, ignore_value: true, ..PutRequest::default() }))
        }
        "put" => {
            let (key, value) = rest.split_once('=').ok_or("put KEY=VALUE")?;
            let (key, value) = (bytes(key), bytes(value));
            Ok(RequestOp::Put(PutRequest { key, value, ..PutRequest::default() }))
        }
        "get" => {
            let (key, range_end) = parse_keys(rest);
            Ok(RequestOp::Range(RangeRequest { key, range_end, ..RangeRequest::default() }))
        }
        "del" => {
            let (key, range_end) = parse_keys(rest);
            let delete = DeleteRangeRequest { key, range_end, prev_kv: false };
            Ok(RequestOp::DeleteRange(delete))
        }
        _ => Err(format!("no operation: {text:?}").into()),
    }
}

fn parse_keys(text: &str) -> (Bytes, Bytes) {
    match text.split_once("..") {
        None => (bytes(text), Bytes::new()),
        Some((from, "")) => (bytes(from), Bytes::from_static(&[0])),
        Some((from, to)) => (bytes(from), bytes(to)),
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// An answer in one line.
pub(crate) fn show_reply(message: &ServerMessage) -> String {
    match message {
        ServerMessage::Response { id, result: Ok(response) } => {
            format!("#{id} {}", show_response(response))
        }
        ServerMessage::Response { id, result: Err(error) } => {
            format!("#{id} {:?}: {error}", error.code())
        }
        ServerMessage::Watch(watch) => show_watch(watch),
        ServerMessage::Lost(error) => format!("session lost, {:?}: {error}", error.code()),
    }
}

fn show_response(response: &Response) -> String {
    match response {
        Response::Range(range) => {
            format!("got {} rev {}", show_pairs(&range.kvs, range.count), range.header.revision)
        }
        Response::Put(put) => {
            let before = put.prev_kv.iter().map(|kv| format!(", before {}", show_pair(kv)));
            format!("put rev {}{}", put.header.revision, before.collect::<String>())
        }
        Response::DeleteRange(delete) => {
            format!("deleted {} rev {}", delete.deleted, delete.header.revision)
        }
        Response::Txn(txn) => {
            let branch = if txn.succeeded { "then" } else { "else" };
            let answers: Vec<String> = txn.responses.iter().map(show_op).collect();
            format!("txn {branch} [{}] rev {}", answers.join(", "), txn.header.revision)
        }
        Response::MemberList(list) => {
            let names: Vec<&str> = list.members.iter().map(|m| m.name.as_str()).collect();
            format!("members {}", names.join(" "))
        }
        Response::Compact(compact) => format!("compacted rev {}", compact.header.revision),
        Response::Alarm(alarm) => {
            let alarms = alarm.alarms.iter().map(|a| format!("{:?}", a.alarm).to_uppercase());
            format!("alarms [{}]", alarms.collect::<Vec<_>>().join(", "))
        }
        Response::HashKv(hash) => format!("hash {:08x} rev {}", hash.hash, hash.hash_revision),
        Response::Status(status) => format!(
            "status t{} index {} applied {} rev {} {}",
            status.raft_term,
            status.raft_index,
            status.raft_applied_index,
            status.header.revision,
            if status.errors.is_empty() { "ok".into() } else { status.errors.join(", ") },
        ),
    }
}

fn show_op(op: &ResponseOp) -> String {
    match op {
        ResponseOp::Range(range) => format!("got {}", show_pairs(&range.kvs, range.count)),
        ResponseOp::Put(_) => "put".into(),
        ResponseOp::DeleteRange(delete) => format!("deleted {}", delete.deleted),
        ResponseOp::Txn(txn) => format!("txn {}", txn.succeeded),
    }
}

fn show_pairs(pairs: &[KeyValue], count: i64) -> String {
    match (pairs, count) {
        ([], 0) => "nothing".into(),
        ([], count) => format!("count {count}"),
        (pairs, _) => pairs.iter().map(show_pair).collect::<Vec<_>>().join(", "),
    }
}

fn show_pair(pair: &KeyValue) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = match pair.value.len() {
        0..=40 => text(&pair.value),
        length => format!("({length} bytes)"),
    };
    format!("{}={value} v{}", text(&pair.key), pair.version)
}

fn show_watch(watch: &WatchResponse) -> String {
    let (id, revision) = (watch.watch_id, watch.header.revision);
    if watch.canceled {
        return format!("watch {id} ended {}", watch.cancel_reason);
    }
    if watch.created {
        return format!("watch {id} created rev {revision}");
    }
    let events = watch.events.iter().map(|event| match event.kind {
        EventType::Put => format!("{} rev {}", show_pair(&event.kv), event.kv.mod_revision),
        EventType::Delete => {
            let key = String::from_utf8_lossy(&event.kv.key).into_owned();
            format!("{key} deleted rev {}", event.kv.mod_revision)
        }
    });
    format!("watch {id} [{}]", events.collect::<Vec<_>>().join(", "))
}
