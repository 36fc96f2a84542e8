//! Every limit of the relay, at its edge.

use std::collections::BTreeMap;

use api::error::Error;
use api::frame::{Attach, Attachee, CloseCode, Frame, Presence, decode_body};
use api::identity::{Boot, ClusterId, Incarnation};
use api::limits;
use api::session::ServerMessage;
use kvorum_relay::{BINDINGS, Config, Guests, Input, Output, ROOM_MEMBERS, Relay};

fn drain(relay: &mut Relay) -> Vec<Output> {
    std::iter::from_fn(|| relay.poll()).collect()
}

fn frame(relay: &mut Relay, conn: u64, frame: &Frame<'_>) -> Vec<Output> {
    relay.handle(Input::Frame { conn, bytes: frame.encode().into() });
    drain(relay)
}

fn attach(relay: &mut Relay, conn: u64, cluster: &str, who: Attachee) -> Vec<Output> {
    relay.handle(Input::Opened { conn, guests: Guests::All });
    let attach = Attach { cluster: cluster.into(), build: String::new(), who };
    frame(relay, conn, &Frame::Attach(attach))
}

fn member(number: u64) -> Attachee {
    Attachee::Member(Presence {
        name: number.to_string(),
        incarnation: Incarnation(number.into()),
        boot: Boot { counter: 1, nonce: 1 },
        formed: None,
    })
}

fn closed(outputs: &[Output]) -> Option<(u64, CloseCode)> {
    outputs.iter().find_map(|output| match output {
        Output::Close { conn, code, .. } => Some((*conn, *code)),
        _ => None,
    })
}

#[test]
fn connections() {
    let mut relay = Relay::new(Config::default());
    let max = limits::RELAY_CONNECTIONS as u64;
    for conn in 0..max {
        relay.handle(Input::Opened { conn, guests: Guests::All });
        assert_eq!(drain(&mut relay), []);
    }
    relay.handle(Input::Opened { conn: max, guests: Guests::All });
    assert_eq!(closed(&drain(&mut relay)), Some((max, CloseCode::Full)));
    // One goes, another may come.
    relay.handle(Input::Closed { conn: 0 });
    relay.handle(Input::Opened { conn: max + 1, guests: Guests::All });
    assert_eq!(drain(&mut relay), []);
}

#[test]
fn members_of_a_room() {
    let mut relay = Relay::new(Config::default());
    let max = ROOM_MEMBERS as u64;
    for conn in 0..max {
        assert_eq!(closed(&attach(&mut relay, conn, "a", member(conn))), None);
    }
    let full = Some((max, CloseCode::Full));
    assert_eq!(closed(&attach(&mut relay, max, "a", member(max))), full);
    // The same run again takes its own place.
    let replaced = attach(&mut relay, max + 1, "a", member(0));
    assert_eq!(closed(&replaced), Some((0, CloseCode::Replaced)));
    assert_eq!(closed(&attach(&mut relay, max + 2, "b", member(max))), None);
}

#[test]
fn sessions_of_a_console() {
    let mut relay = Relay::new(Config::default());
    attach(&mut relay, 1, "a", member(1));
    attach(&mut relay, 2, "a", Attachee::Console);
    let max = limits::CONSOLE_SESSIONS as u64;
    for session in 0..max {
        let sent = frame(&mut relay, 2, &Frame::Client { session, body: b"get" });
        assert!(matches!(sent[..], [Output::Send { conn: 1, .. }]));
    }
    let sent = frame(&mut relay, 2, &Frame::Client { session: max, body: b"get" });
    let [Output::Send { conn: 2, frame: bytes }] = &sent[..] else { panic!("{sent:?}") };
    let Ok(Frame::Server { session, body }) = Frame::decode(bytes) else { panic!("{bytes:?}") };
    assert_eq!(session, max);
    assert_eq!(decode_body(body), Ok(ServerMessage::Lost(Error::TooManyRequests)));
    // A session that is open goes on.
    let sent = frame(&mut relay, 2, &Frame::Client { session: 0, body: b"get" });
    assert!(matches!(sent[..], [Output::Send { conn: 1, .. }]));
}

#[test]
fn names_that_are_bound() {
    let bindings: BTreeMap<_, _> =
        (0..BINDINGS as u64).map(|i| (i.to_string(), ClusterId(i + 1))).collect();
    let mut relay = Relay::new(Config { bindings: bindings.clone(), ..Config::default() });
    assert_eq!(closed(&attach(&mut relay, 1, "0", member(1))), None);
    let full = Some((2, CloseCode::Full));
    assert_eq!(closed(&attach(&mut relay, 2, "new", member(1))), full);

    let mut fewer = bindings;
    fewer.pop_first();
    let mut relay = Relay::new(Config { bindings: fewer, ..Config::default() });
    assert_eq!(closed(&attach(&mut relay, 2, "new", member(1))), None);
}

#[test]
fn an_answer_in_parts_goes_to_its_console() {
    let mut relay = Relay::new(Config::default());
    attach(&mut relay, 1, "a", member(1));
    attach(&mut relay, 2, "a", Attachee::Console);
    let sent = frame(&mut relay, 2, &Frame::Client { session: 7, body: b"get" });
    let [Output::Send { conn: 1, frame: bytes }] = &sent[..] else { panic!("{sent:?}") };
    let Ok(Frame::Client { session, .. }) = Frame::decode(bytes) else { panic!("{bytes:?}") };
    // The first byte of a part means nothing: this one is that of a lost session.
    for (last, body) in [(false, b"\x02one"), (true, b"\x02two")] {
        let passed = frame(&mut relay, 1, &Frame::Piece { session, last, body });
        let expected = Frame::Piece { session: 7, last, body }.encode();
        assert_eq!(passed, [Output::Send { conn: 2, frame: expected.into() }]);
    }
    // Consoles send none.
    let piece = Frame::Piece { session: 7, last: true, body: b"" };
    assert_eq!(closed(&frame(&mut relay, 2, &piece)), Some((2, CloseCode::Malformed)));
}
