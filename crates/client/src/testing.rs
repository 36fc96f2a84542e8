//! Golden scripts: a client driven by typed commands, every output spelled out, and the time at
//! which it wants to be woken whenever that changes.
//!
//! ```text
//! up
//! put a
//! ---
//! -> 1: 1 Put a
//! wake at 1000
//! ```

use std::error::Error;
use std::fmt::Write as _;

use api::Bytes;
use api::frame::{decode_body, encode_body};
use api::kv::{
    KeyValue, PutRequest, PutResponse, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::watch::{Event, EventType, WatchCreateRequest, WatchRequest, WatchResponse};

use crate::{CallId, Client, Input, Output, Patience, StreamId, WatchId};

/// Runs a script and gives it back with the output that it really has.
pub fn run(script: &str) -> String {
    let mut runner = Runner { client: Client::new(), now: 0, wake_at: None };
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| panic!("{error}"))
}

#[derive(goldenscript::Command)]
enum Command {
    /// Starts afresh, at time 0.
    Client,
    /// The link is there.
    Up,
    /// It is gone.
    Down { reason: String },
    /// The host turns to another way.
    Leave { reason: String },
    /// Time goes on to here.
    At { now: u64 },
    /// A call: `get`, `put`, `read` and `write` (transactions), `members`, `status`.
    Call {
        what: String,
        key: Option<String>,
        #[arg(key)]
        within: Option<u64>,
        #[arg(key, optional)]
        wait: u64,
    },
    /// A put of so many bytes beyond what a message holds.
    Large { extra: i64 },
    /// The caller is gone.
    Abandon { call: u64 },
    /// Starts a watch.
    Watch {
        key: String,
        #[arg(key, optional)]
        rev: i64,
    },
    /// Ends it.
    Unwatch { watch: i64 },
    /// Opens a raw stream.
    Open,
    /// Creates a watch on it.
    Say {
        stream: u64,
        key: String,
        #[arg(key, optional)]
        fragment: bool,
    },
    /// Ends it.
    Close { stream: u64 },
    /// A member answers a call.
    Answer { session: u64, call: u64 },
    /// A member answers a call with an error.
    Refuse { session: u64, call: u64 },
    /// A member has created a watch at a revision.
    Created { session: u64, watch: i64, rev: i64 },
    /// A member has events, each `KEY@REVISION`.
    Events {
        session: u64,
        watch: i64,
        events: Vec<String>,
        #[arg(key, optional)]
        fragment: bool,
    },
    /// Nothing has happened up to a revision.
    Progress { session: u64, watch: i64, rev: i64 },
    /// A member ends a watch.
    Canceled {
        session: u64,
        watch: i64,
        #[arg(key, optional)]
        compact: i64,
        #[arg(key, optional)]
        created: bool,
    },
    /// The session is lost.
    Lost { session: u64, reason: String },
    /// Something unreadable.
    Garbage { session: u64 },
    /// Why calls fail now.
    Trouble,
}

struct Runner {
    client: Client,
    now: u64,
    wake_at: Option<u64>,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(
        &mut self,
        command: &Command,
        _context: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        let mut text = String::new();
        match command {
            Command::Client => *self = Self { client: Client::new(), now: 0, wake_at: None },
            Command::Up => self.client.handle(self.now, Input::Up),
            Command::Down { reason } => self.client.handle(self.now, Input::Down { reason }),
            Command::Leave { reason } => self.client.handle(self.now, Input::Leave { reason }),
            Command::At { now } => {
                self.now = *now;
                self.client.handle(self.now, Input::Wake);
            }
            Command::Call { what, key, within, wait } => {
                let patience = Patience { within: within.unwrap_or(1000), wait: *wait };
                let request = request(what, key.as_deref().unwrap_or_default())?;
                self.client.call(self.now, &request, patience);
            }
            Command::Large { extra } => {
                // A put of an empty key and value takes 12 bytes with its message.
                let room = i64::try_from(crate::MESSAGE_BYTES)? - 12 + extra;
                let value = Bytes::from(vec![0; usize::try_from(room)?]);
                let put = Request::Put(PutRequest { value, ..PutRequest::default() });
                self.client.call(self.now, &put, Patience { within: 1000, wait: 0 });
            }
            Command::Abandon { call } => self.client.abandon(CallId(*call)),
            Command::Watch { key, rev } => {
                let key = Bytes::from(key.clone());
                let start_revision = *rev;
                let create = WatchCreateRequest { key, start_revision, ..Default::default() };
                self.client.watch(self.now, create);
            }
            Command::Unwatch { watch } => self.client.unwatch(WatchId(*watch)),
            Command::Open => {
                let stream = self.client.open();
                writeln!(text, "stream {}", stream.0)?;
            }
            Command::Say { stream, key, fragment } => {
                let (key, fragment) = (Bytes::from(key.clone()), *fragment);
                let create = WatchCreateRequest { key, fragment, ..Default::default() };
                self.client.say(StreamId(*stream), WatchRequest::Create(create));
            }
            Command::Close { stream } => self.client.close(StreamId(*stream)),
            Command::Trouble => match self.client.trouble() {
                Some(error) => writeln!(text, "{error}")?,
                None => writeln!(text, "none")?,
            },
            Command::Garbage { session } => {
                let (session, body) = (*session, &[9][..]);
                self.client.handle(self.now, Input::Message { session, body });
            }
            message => self.message(message)?,
        }
        self.drain(&mut text)?;
        Ok(text)
    }
}

impl Runner {
    fn message(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let (session, message) = match command {
            Command::Answer { session, call } => {
                let result = Ok(Response::Put(PutResponse::default()));
                (session, ServerMessage::Response { id: *call, result })
            }
            Command::Refuse { session, call } => {
                let result = Err(api::Error::NoLeader);
                (session, ServerMessage::Response { id: *call, result })
            }
            Command::Created { session, watch, rev } => {
                (session, news(*watch, *rev, |response| response.created = true))
            }
            Command::Events { session, watch, events, fragment } => {
                let events = events.iter().map(|e| event(e)).collect::<Result<Vec<_>, _>>()?;
                let last = events.last().map_or(0, |event| event.kv.mod_revision);
                let message = news(*watch, last, |response| {
                    response.events = events;
                    response.fragment = *fragment;
                });
                (session, message)
            }
            Command::Progress { session, watch, rev } => (session, news(*watch, *rev, |_| {})),
            Command::Canceled { session, watch, compact, created } => {
                let message = news(*watch, 0, |response| {
                    response.canceled = true;
                    response.created = *created;
                    response.compact_revision = *compact;
                    response.cancel_reason = "because".into();
                });
                (session, message)
            }
            Command::Lost { session, reason } => {
                (session, ServerMessage::Lost(api::Error::Unavailable(reason.clone())))
            }
            _ => return Err("not a message".into()),
        };
        let body = encode_body(&message);
        self.client.handle(self.now, Input::Message { session: *session, body: &body });
        Ok(())
    }

    fn drain(&mut self, text: &mut String) -> std::fmt::Result {
        while let Some(output) = self.client.poll() {
            writeln!(text, "{}", show(&output))?;
        }
        let wake_at = self.client.wake_at();
        if wake_at != self.wake_at {
            self.wake_at = wake_at;
            match wake_at {
                Some(at) => writeln!(text, "wake at {at}")?,
                None => writeln!(text, "wake never")?,
            }
        }
        Ok(())
    }
}

fn news(watch_id: i64, revision: i64, fill: impl FnOnce(&mut WatchResponse)) -> ServerMessage {
    let header = ResponseHeader { revision, ..ResponseHeader::default() };
    let mut response = WatchResponse { header, watch_id, ..WatchResponse::default() };
    fill(&mut response);
    ServerMessage::Watch(response)
}

fn request(what: &str, key: &str) -> Result<Request, Box<dyn Error>> {
    let key = Bytes::from(key.to_owned());
    let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    let put = PutRequest { key, ..PutRequest::default() };
    let txn = |success| TxnRequest { success, ..TxnRequest::default() };
    Ok(match what {
        "get" => Request::Range(range),
        "put" => Request::Put(put),
        "read" => Request::Txn(txn(vec![RequestOp::Txn(txn(vec![RequestOp::Range(range)]))])),
        "write" => Request::Txn(txn(vec![RequestOp::Txn(txn(vec![RequestOp::Put(put)]))])),
        "members" => Request::MemberList(api::cluster::MemberListRequest::default()),
        "status" => Request::Status,
        other => return Err(format!("no call {other:?}").into()),
    })
}

/// `KEY@REVISION`
fn event(text: &str) -> Result<Event, Box<dyn Error>> {
    let (key, revision) = text.split_once('@').ok_or("an event is KEY@REVISION")?;
    let kv = KeyValue {
        key: Bytes::from(key.to_owned()),
        mod_revision: revision.parse()?,
        ..KeyValue::default()
    };
    Ok(Event { kind: EventType::Put, kv, prev_kv: None })
}

fn show(output: &Output) -> String {
    match output {
        Output::Send { session, body } => match decode_body(body) {
            Ok(message) => format!("-> {session}: {}", show_message(&message)),
            Err(error) => format!("-> {session}: not a message: {error}"),
        },
        Output::Answer { call, result: Ok(_) } => format!("answer {}: ok", call.0),
        Output::Answer { call, result: Err(error) } => format!("answer {}: {error}", call.0),
        Output::Watch { watch, response } => {
            assert_eq!(watch.0, response.watch_id, "an answer under another watch's id");
            format!("watch {}: {}", watch.0, show_response(response))
        }
        Output::Stream { stream, result: Ok(response) } => {
            format!("stream {}: {} {}", stream.0, response.watch_id, show_response(response))
        }
        Output::Stream { stream, result: Err(error) } => format!("stream {}: {error}", stream.0),
    }
}

fn show_message(message: &ClientMessage) -> String {
    let text = |key: &Bytes| String::from_utf8_lossy(key).into_owned();
    match message {
        ClientMessage::Request { id, request } => match request {
            Request::Range(range) => format!("{id} Range {}", text(&range.key)),
            Request::Put(put) if put.value.len() > 99 => format!("{id} Put large"),
            Request::Put(put) => format!("{id} Put {}", text(&put.key)),
            Request::Txn(_) => format!("{id} Txn"),
            other => format!("{id} {other:?}"),
        },
        ClientMessage::Watch(WatchRequest::Create(create)) => {
            let (key, rev) = (text(&create.key), create.start_revision);
            format!("create watch {} of {key} from {rev}", create.watch_id)
        }
        ClientMessage::Watch(WatchRequest::Cancel(id)) => format!("cancel watch {id}"),
        ClientMessage::Watch(WatchRequest::Progress) => "progress".into(),
        ClientMessage::End => "End".into(),
    }
}

fn show_response(response: &WatchResponse) -> String {
    let mut parts = Vec::new();
    if response.created {
        parts.push("created".to_owned());
    }
    if response.canceled {
        parts.push(format!("canceled: {}", response.cancel_reason));
    }
    if response.compact_revision != 0 {
        parts.push(format!("compacted at {}", response.compact_revision));
    }
    for event in &response.events {
        let key = String::from_utf8_lossy(&event.kv.key);
        parts.push(format!("{key}@{}", event.kv.mod_revision));
    }
    if parts.is_empty() {
        parts.push("progress".to_owned());
    }
    let more = if response.fragment { ", more" } else { "" };
    format!("{}{more} (rev {})", parts.join(" "), response.header.revision)
}
