//! Members and consoles at a running hub: bad frames cost one connection, bindings last.

mod common;

use std::time::{Duration, Instant};

use api::frame::{Attach, Attached, Attachee, CloseCode, Frame, Presence};
use api::identity::{Boot, ClusterId, Incarnation, RaftId};
use api::limits::{FRAME_BYTES, LINK_QUEUE_BYTES};
use common::{Hub, Socket, closed, receive, send};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

fn member(name: &str, incarnation: u128, cluster: Option<u64>) -> Presence {
    let formed = cluster.map(|id| (ClusterId(id), RaftId(incarnation as u64)));
    let boot = Boot { counter: 1, nonce: 7 };
    Presence { name: name.into(), incarnation: Incarnation(incarnation), boot, formed }
}

fn attach(who: Attachee) -> Vec<u8> {
    let build = if who == Attachee::Console { "" } else { "b1" };
    Frame::Attach(Attach { cluster: "default".into(), build: build.into(), who }).encode()
}

/// A socket that the relay has let in, and what it is told.
async fn attached(hub: &Hub, who: Attachee) -> (Socket, Attached) {
    let mut socket = hub.socket().await;
    send(&mut socket, attach(who)).await;
    let bytes = receive(&mut socket).await;
    match Frame::decode(&bytes) {
        Ok(Frame::Attached(attached)) => (socket, attached),
        other => panic!("not let in: {other:?}"),
    }
}

/// The code and reason that a socket's frame and close agree on.
async fn refusal(socket: &mut Socket) -> (u16, String) {
    let bytes = receive(socket).await;
    let Ok(Frame::Refused { code, reason }) = Frame::decode(&bytes) else {
        panic!("no refusal");
    };
    let (close, words) = closed(socket).await;
    assert_eq!(close, code as u16);
    assert!(reason.starts_with(&words), "{reason} / {words}");
    (close, reason)
}

#[tokio::test]
async fn a_bad_frame_costs_its_connection_and_nothing_else() {
    let hub = Hub::start().await;
    let (mut one, _) = attached(&hub, Attachee::Member(member("1", 1, None))).await;
    let (mut two, _) = attached(&hub, Attachee::Member(member("2", 2, None))).await;
    assert!(matches!(Frame::decode(&receive(&mut two).await), Ok(Frame::Present(_))));
    assert!(matches!(Frame::decode(&receive(&mut one).await), Ok(Frame::Present(_))));

    let mut peer_first = Frame::Peer {
        route: api::frame::Route::Names { from: "3".into(), to: "1".into() },
        body: b"hello",
    }
    .encode();
    let mut too_large = vec![0; FRAME_BYTES + 1];
    too_large[0] = api::frame::VERSION;
    let of_version_9 = vec![9, 0, 0];
    peer_first.push(0);
    let cases = [
        ([&[api::frame::VERSION], b"garbage".as_slice()].concat(), CloseCode::Malformed),
        (Vec::new(), CloseCode::Malformed),
        (peer_first, CloseCode::Malformed),
        (too_large, CloseCode::TooLarge),
        (of_version_9, CloseCode::Reload),
    ];
    for (bytes, code) in cases {
        let len = bytes.len();
        let mut bad = hub.socket().await;
        send(&mut bad, bytes).await;
        let (told, reason) = refusal(&mut bad).await;
        assert_eq!(told, code as u16, "{len} bytes: {reason}");
        assert!(!reason.is_empty());
    }
    let mut text = hub.socket().await;
    text.send(Message::text("hello")).await.expect("the socket is open");
    assert_eq!(refusal(&mut text).await.0, CloseCode::Malformed as u16);

    // Nobody else has noticed: what one says still reaches two, and nothing else did.
    let route = api::frame::Route::Names { from: "1".into(), to: "2".into() };
    let frame = Frame::Peer { route, body: b"still here" }.encode();
    send(&mut one, frame.clone()).await;
    assert_eq!(receive(&mut two).await, frame);
}

#[tokio::test]
async fn the_largest_frame_passes() {
    let hub = Hub::start().await;
    let (mut one, _) = attached(&hub, Attachee::Member(member("1", 1, None))).await;
    let (mut two, _) = attached(&hub, Attachee::Member(member("2", 2, None))).await;
    receive(&mut two).await;
    let route = || api::frame::Route::Names { from: "1".into(), to: "2".into() };
    let body = vec![7; FRAME_BYTES];
    let head = Frame::Peer { route: route(), body: &body }.encode().len() - FRAME_BYTES;
    let frame = Frame::Peer { route: route(), body: &body[head..] }.encode();
    assert_eq!(frame.len(), FRAME_BYTES);
    send(&mut one, frame.clone()).await;
    assert_eq!(receive(&mut two).await, frame);
}

#[tokio::test]
async fn a_binding_survives_a_killed_hub() {
    let mut hub = Hub::start().await;
    let (_, told) = attached(&hub, Attachee::Console).await;
    assert_eq!(told.bound, None);
    let (mut one, told) = attached(&hub, Attachee::Member(member("1", 1, Some(0xabc)))).await;
    assert_eq!(told.bound, Some(ClusterId(0xabc)));

    // Kept before anyone was told of it.
    hub.kill_and_restart().await;
    assert!(one.send(Message::Ping(Vec::new().into())).await.is_err() || closed_hard(one).await);
    let (_, told) = attached(&hub, Attachee::Console).await;
    assert_eq!(told.bound, Some(ClusterId(0xabc)));
    let mut foreign = hub.socket().await;
    send(&mut foreign, attach(Attachee::Member(member("1", 9, Some(0xdef))))).await;
    assert_eq!(refusal(&mut foreign).await.0, CloseCode::Foreign as u16);
}

/// Waits until the relay says that this member is gone.
async fn gone(socket: &mut Socket, name: &str) {
    loop {
        if let Ok(Frame::Gone(presence)) = Frame::decode(&receive(socket).await) {
            assert_eq!(presence.name, name);
            return;
        }
    }
}

#[tokio::test]
async fn a_socket_that_fell_asleep_is_found() {
    let hub = Hub::start().await;
    let (mut one, _) = attached(&hub, Attachee::Member(member("1", 1, None))).await;
    // Open and never looked at: nobody answers the hub's pings.
    let (_two, _) = attached(&hub, Attachee::Member(member("2", 2, None))).await;
    let since = Instant::now();
    gone(&mut one, "2").await;
    let took = since.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(12), "{took:?}");
}

#[tokio::test]
async fn a_socket_that_reads_too_slowly_is_closed() {
    let hub = Hub::start().await;
    let (one, _) = attached(&hub, Attachee::Member(member("1", 1, None))).await;
    let (mut two, _) = attached(&hub, Attachee::Member(member("2", 2, None))).await;
    let route = api::frame::Route::Names { from: "1".into(), to: "2".into() };
    let frame = Frame::Peer { route, body: &vec![7; FRAME_BYTES - 64] }.encode();
    let (mut sink, mut stream) = one.split();
    let sending = tokio::spawn(async move {
        // The hub holds this much; the rest is what the system holds of a socket.
        for _ in 0..LINK_QUEUE_BYTES / frame.len() + 8 {
            sink.send(Message::binary(frame.clone())).await.expect("one is not slow");
        }
    });
    loop {
        let message = stream.next().await.expect("one stays").expect("a message");
        if let Message::Binary(bytes) = message
            && let Ok(Frame::Gone(presence)) = Frame::decode(&bytes)
        {
            assert_eq!(presence.name, "2");
            break;
        }
    }
    sending.await.expect("no panic");
    assert_eq!(closed(&mut two).await.0, CloseCode::Slow as u16);
}

#[tokio::test]
async fn a_message_of_any_size_is_cut_off() {
    let hub = Hub::start().await;
    let (mut sink, mut stream) = hub.socket().await.split();
    // The hub stops reading, so this one never ends in order.
    let sending = tokio::spawn(async move {
        let _ = sink.send(Message::binary(vec![0; 64 * FRAME_BYTES])).await;
    });
    let close = loop {
        let message = stream.next().await.expect("a close comes first").expect("a message");
        if let Message::Close(close) = message {
            break close.expect("a reason");
        }
    };
    assert_eq!(u16::from(close.code), CloseCode::TooLarge as u16);
    sending.await.expect("no panic");
}

/// The other end died without a close.
async fn closed_hard(mut socket: Socket) -> bool {
    loop {
        match socket.next().await {
            None | Some(Err(_)) => return true,
            Some(Ok(_)) => {}
        }
    }
}
