//! Every limit of the client, at its edge. That of messages is in `scripts/calls.txt`.

use api::Bytes;
use api::error::Error;
use api::frame::{decode_body, encode_body};
use api::kv::{KeyValue, PutRequest, RangeRequest};
use api::limits::ANSWER_BYTES;
use api::session::{ClientMessage, Request, ServerMessage};
use api::watch::{Event, EventType, WatchCreateRequest, WatchRequest, WatchResponse};
use kvorum_client::{
    CALL_BYTES, CALLS, Client, HELD_BYTES, Input, MESSAGE_BYTES, Output, Patience, STREAMS, WATCHES,
};

fn drain(client: &mut Client) -> Vec<Output> {
    std::iter::from_fn(|| client.poll()).collect()
}

fn up() -> Client {
    let mut client = Client::new();
    client.handle(0, Input::Up);
    client
}

#[test]
fn calls() {
    let mut client = up();
    let get = Request::Range(RangeRequest::default());
    let patience = Patience { within: 10, wait: 0 };
    let first = client.call(0, &get, patience);
    for _ in 1..CALLS {
        client.call(0, &get, patience);
    }
    assert!(drain(&mut client).iter().all(|out| matches!(out, Output::Send { .. })));
    let call = client.call(0, &get, patience);
    assert_eq!(drain(&mut client), [Output::Answer { call, result: Err(Error::TooManyRequests) }]);
    client.abandon(first);
    client.call(0, &get, patience);
    assert!(matches!(drain(&mut client)[..], [Output::Send { .. }]));
    client.handle(10, Input::Wake);
    assert_eq!(drain(&mut client).len(), CALLS);
    assert_eq!(client.wake_at(), None);
}

#[test]
fn bytes_of_calls() {
    let mut client = up();
    let value = Bytes::from(vec![0; MESSAGE_BYTES - 64]);
    let put = Request::Put(PutRequest { key: "k".into(), value, ..PutRequest::default() });
    let patience = Patience { within: 10, wait: 0 };
    let first = client.call(0, &put, patience);
    let Some(Output::Send { body, .. }) = client.poll() else { panic!("it is sent") };
    for _ in 0..CALL_BYTES.div_ceil(body.len()) - 1 {
        client.call(0, &put, patience);
    }
    assert!(drain(&mut client).iter().all(|out| matches!(out, Output::Send { .. })));
    let call = client.call(0, &put, patience);
    assert_eq!(drain(&mut client), [Output::Answer { call, result: Err(Error::TooManyRequests) }]);
    client.abandon(first);
    client.call(0, &put, patience);
    assert!(matches!(drain(&mut client)[..], [Output::Send { .. }]));
}

#[test]
fn watches() {
    let mut client = up();
    let first = client.watch(0, WatchCreateRequest::default());
    for _ in 1..WATCHES {
        client.watch(0, WatchCreateRequest::default());
    }
    drain(&mut client);
    let watch = client.watch(0, WatchCreateRequest::default());
    let out = drain(&mut client);
    let [Output::Watch { watch: refused, response }] = &out[..] else { panic!("{out:?}") };
    assert_eq!((*refused, response.canceled), (watch, true));
    assert_eq!(response.cancel_reason, Error::TooManyRequests.text());
    client.unwatch(first);
    client.watch(0, WatchCreateRequest::default());
    // The cancel of the first, the creation of the last.
    assert!(matches!(drain(&mut client)[..], [Output::Send { .. }, Output::Send { .. }]));
}

#[test]
fn streams() {
    let mut client = up();
    let first = client.open();
    for _ in 1..STREAMS {
        client.open();
    }
    assert_eq!(drain(&mut client), []);
    let stream = client.open();
    let result = Err(Error::TooManyRequests);
    assert_eq!(drain(&mut client), [Output::Stream { stream, result }]);
    client.close(first);
    drain(&mut client);
    client.open();
    assert_eq!(drain(&mut client), []);
}

/// Pieces of one revision, each of 4 MiB less a little, until there are `bytes` of values.
fn one_revision(client: &mut Client, bytes: usize) -> Vec<Output> {
    let watch_id = client.watch(0, WatchCreateRequest::default()).0;
    hear_pieces(client, watch_id, bytes)
}

/// The same on a raw stream, of a watch whose client did not ask for pieces.
fn one_revision_of_a_stream(client: &mut Client, bytes: usize) -> Vec<Output> {
    let stream = client.open();
    client.say(stream, WatchRequest::Create(WatchCreateRequest::default()));
    hear_pieces(client, 0, bytes)
}

fn hear_pieces(client: &mut Client, watch_id: i64, bytes: usize) -> Vec<Output> {
    drain(client);
    let created = WatchResponse { watch_id, created: true, ..WatchResponse::default() };
    hear(client, created);
    let piece = 4_000_000;
    for _ in 0..bytes / piece {
        let value = Bytes::from(vec![0; piece]);
        let kv = KeyValue { mod_revision: 2, value, ..KeyValue::default() };
        let events = vec![Event { kind: EventType::Put, kv, prev_kv: None }];
        hear(client, WatchResponse { watch_id, events, fragment: true, ..Default::default() });
    }
    drain(client)
}

fn hear(client: &mut Client, response: WatchResponse) {
    let body = encode_body(&ServerMessage::Watch(response));
    client.handle(0, Input::Message { session: 1, body: &body });
}

#[test]
fn bytes_of_one_revision() {
    let out = one_revision(&mut up(), HELD_BYTES);
    assert!(matches!(out[..], [Output::Watch { .. }]), "only that it is created");

    let out = one_revision(&mut up(), HELD_BYTES + 4_000_000);
    let [_, Output::Send { body, .. }, Output::Watch { response, .. }] = &out[..] else {
        panic!("{} outputs", out.len())
    };
    assert_eq!(decode_body(body), Ok(ClientMessage::Watch(WatchRequest::Cancel(1))));
    assert!(response.canceled);

    let out = one_revision_of_a_stream(&mut up(), ANSWER_BYTES);
    assert!(matches!(out[..], [Output::Stream { .. }]), "only that it is created");

    let out = one_revision_of_a_stream(&mut up(), ANSWER_BYTES + 4_000_000);
    let [_, Output::Send { body, .. }, Output::Stream { result: Err(error), .. }] = &out[..] else {
        panic!("{} outputs", out.len())
    };
    assert_eq!(decode_body(body), Ok(ClientMessage::End));
    assert!(error.text().contains("33554432 bytes of events; watch with fragments"), "{error}");
}

#[test]
fn answers_in_parts() {
    let mut client = up();
    let get = Request::Range(RangeRequest::default());
    let patience = Patience { within: 10, wait: 0 };
    let call = client.call(0, &get, patience);
    let [Output::Send { session, .. }] = drain(&mut client)[..] else { panic!("no request") };
    let answer = encode_body(&ServerMessage::Response { id: call.0, result: Err(Error::NoLeader) });
    let (front, back) = answer.split_at(1);
    client.handle(1, Input::Piece { session: session + 1, last: true, body: &answer });
    client.handle(1, Input::Piece { session, last: false, body: front });
    assert_eq!(drain(&mut client), []);
    client.handle(1, Input::Piece { session, last: true, body: back });
    assert_eq!(drain(&mut client), [Output::Answer { call, result: Err(Error::NoLeader) }]);

    // A link that breaks in between leaves nothing behind, and a read is asked again.
    let call = client.call(2, &get, Patience { within: 10, wait: 10 });
    drain(&mut client);
    client.handle(3, Input::Piece { session, last: false, body: front });
    client.handle(3, Input::Down { reason: "gone" });
    client.handle(3, Input::Up);
    let [Output::Send { session, .. }] = drain(&mut client)[..] else { panic!("not again") };
    let answer = encode_body(&ServerMessage::Response { id: call.0, result: Err(Error::NoLeader) });
    client.handle(4, Input::Message { session, body: &answer });
    assert_eq!(drain(&mut client), [Output::Answer { call, result: Err(Error::NoLeader) }]);
}
