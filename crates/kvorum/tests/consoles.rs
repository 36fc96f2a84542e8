//! Consoles that ask for more than they read, or than a member can take: it costs them their
//! own link at most.

mod common;

use std::time::Duration;

use api::error::Error;
use api::frame::{Attach, Attachee, CloseCode, Frame, Presence, Route, decode_body, encode_body};
use api::identity::{Boot, Incarnation};
use api::kv::{PutRequest, RangeRequest};
use api::limits::FRAME_BYTES;
use api::session::{ClientMessage, Request, ServerMessage};
use common::server::{Server, one, put};
use common::{Hub, Socket, closed, receive, send};
use futures_util::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const MIB: usize = 1024 * 1024;

fn attach(who: Attachee) -> Vec<u8> {
    Frame::Attach(Attach { cluster: "default".into(), build: String::new(), who }).encode()
}

async fn console(address: &str) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{address}/relay")).await.expect("it listens");
    send(&mut socket, attach(Attachee::Console)).await;
    socket
}

fn ask(session: u64, request: Request) -> Vec<u8> {
    let body = encode_body(&ClientMessage::Request { id: 1, request });
    Frame::Client { session, body: &body }.encode()
}

fn everything() -> Request {
    let (key, range_end) = ("l/".into(), "l0".into());
    Request::Range(RangeRequest { key, range_end, ..RangeRequest::default() })
}

/// A member that holds 28 MiB.
async fn loaded() -> Server {
    let server = one().await;
    let value = "x".repeat(MIB);
    for n in 0..28 {
        server.kv().put(put(&format!("l/{n:02}"), &value)).await.expect("puts");
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_does_not_read_costs_the_member_nothing() {
    let server = loaded().await;
    let mut other = console(&server.address()).await;
    let mut greedy = console(&server.address()).await;
    // Much more than any queue holds.
    for session in 1..=20 {
        send(&mut greedy, ask(session, everything())).await;
    }
    // One that does nothing greedy is served all the while, by the same link of the member.
    for session in 1..=20 {
        let key = "l/00".into();
        let request = Request::Range(RangeRequest { key, ..RangeRequest::default() });
        send(&mut other, ask(session, request)).await;
        loop {
            let bytes = timeout(Duration::from_secs(5), receive(&mut other)).await.expect("soon");
            match Frame::decode(&bytes).expect("a frame") {
                Frame::Gone(presence) => panic!("the member lost its link: {presence:?}"),
                Frame::Server { session: answered, body } => {
                    let message = decode_body(body).expect("a message");
                    assert!(matches!(message, ServerMessage::Lost(_)), "{message:?}");
                    panic!("session {answered} was lost");
                }
                Frame::Piece { last: true, .. } => break,
                _ => {}
            }
        }
    }
    assert_eq!(closed(&mut greedy).await.0, CloseCode::Slow as u16);
    assert!(!server.said().contains("let go of the member"), "{}", server.said());
}

/// The member `name`, as a page that has just started it shows it.
fn member(name: &str, incarnation: u128) -> Attachee {
    let (incarnation, boot) = (Incarnation(incarnation), Boot { counter: 1, nonce: 7 });
    Attachee::Member(Presence { name: name.into(), incarnation, boot, formed: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles_that_ask_too_much_are_told_and_the_member_stays() {
    let hub = Hub::start().await;
    // It does not read for a while.
    let mut slow = hub.socket().await;
    send(&mut slow, attach(member("1", 1))).await;
    receive(&mut slow).await;
    let mut peer = hub.socket().await;
    send(&mut peer, attach(member("2", 2))).await;

    let mut greedy = console(&hub.address()).await;
    let value = vec![b'x'; FRAME_BYTES - 1024].into();
    let request = Request::Put(PutRequest { key: "k".into(), value, ..PutRequest::default() });
    let asks = ask(7, request);
    let mut asked = 0;
    let refusal = 'asking: loop {
        greedy.send(Message::binary(asks.clone())).await.expect("the console keeps its link");
        asked += asks.len();
        assert!(asked < 400 * MIB, "nobody says no");
        // What is said so far.
        while let Ok(bytes) = timeout(Duration::from_millis(1), receive(&mut greedy)).await {
            match Frame::decode(&bytes).expect("a frame") {
                Frame::Server { session: 7, body } => break 'asking decode_body(body),
                Frame::Gone(presence) => panic!("{presence:?} is gone"),
                _ => {}
            }
        }
    };
    assert_eq!(refusal, Ok(ServerMessage::Lost(Error::TooManyRequests)));

    // What a member says still reaches it, after all that was asked before.
    let route = Route::Names { from: "2".into(), to: "1".into() };
    let frame = Frame::Peer { route, body: b"hello" }.encode();
    send(&mut peer, frame.clone()).await;
    let mut served = 0;
    loop {
        let bytes = receive(&mut slow).await;
        match Frame::decode(&bytes).expect("a frame") {
            Frame::Client { body, .. } if body.len() > MIB => served += 1,
            Frame::Peer { .. } => break assert_eq!(bytes, frame),
            _ => {}
        }
    }
    assert!(served * asks.len() > 90 * MIB, "{served}");
    // With room again it is asked again: new sessions are its own.
    for session in 8.. {
        assert!(session < 50, "nobody asks it any more");
        send(&mut greedy, ask(session, Request::Status)).await;
        let bytes = timeout(Duration::from_millis(300), receive(&mut slow)).await;
        if let Ok(bytes) = bytes
            && matches!(Frame::decode(&bytes), Ok(Frame::Client { .. }))
        {
            break;
        }
    }
}
