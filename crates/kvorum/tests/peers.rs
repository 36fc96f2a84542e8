//! The peer port, as somebody finds it who is no member, and the page of a server.

mod common;

use std::time::Duration;

use api::frame::{Attach, Attachee, CloseCode, Frame, Presence};
use api::identity::{Boot, ClusterId, Incarnation, RaftId};
use api::limits::FRAME_BYTES;
use api::report::Role;
use common::server::{Server, leader, one, put, three};
use common::{Socket, closed, receive, send};
use futures_util::SinkExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn peer_socket(server: &Server) -> Socket {
    let url = format!("ws://127.0.0.1:{}/peer", server.peer);
    let (mut socket, _) = connect_async(url).await.expect("it listens");
    let first = receive(&mut socket).await;
    let Ok(Frame::Present(presence)) = Frame::decode(&first) else { panic!("it says who it is") };
    assert_eq!(presence.name, server.name);
    socket
}

fn stranger(name: &str, nonce: u64) -> Vec<u8> {
    let formed = Some((ClusterId(7), RaftId(8)));
    let boot = Boot { counter: 1, nonce };
    let presence = Presence { name: name.into(), incarnation: Incarnation(9), boot, formed };
    Frame::Present(presence).encode()
}

/// The code and reason that a socket's frame and close agree on.
async fn refusal(socket: &mut Socket) -> (u16, String) {
    loop {
        let bytes = receive(socket).await;
        if let Ok(Frame::Refused { code, reason }) = Frame::decode(&bytes) {
            assert_eq!(closed(socket).await.0, code as u16);
            return (code as u16, reason);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_costs_its_link_and_nothing_else() {
    let servers = three().await;
    let target = &servers[leader(&servers).await];
    let report = Frame::Rebound(Ok(())).encode();
    let mut too_large = vec![0; FRAME_BYTES + 1];
    too_large[0] = api::frame::VERSION;
    let route = api::frame::Route::Names { from: "b".into(), to: "a".into() };
    let bad_body = Frame::Peer { route, body: b"\xff\xff\xff" }.encode();
    let cases = [
        ([&[api::frame::VERSION], b"garbage".as_slice()].concat(), CloseCode::Malformed),
        (Vec::new(), CloseCode::Malformed),
        (report, CloseCode::Malformed),
        (bad_body, CloseCode::Malformed),
        (too_large, CloseCode::TooLarge),
        (vec![9, 0, 0], CloseCode::Reload),
        (stranger("nobody", 1), CloseCode::Foreign),
    ];
    for (bytes, code) in cases {
        let len = bytes.len();
        let mut socket = peer_socket(target).await;
        send(&mut socket, bytes).await;
        let (told, reason) = refusal(&mut socket).await;
        assert_eq!(told, code as u16, "{len} bytes: {reason}");
        assert!(!reason.is_empty());
    }
    let mut text = peer_socket(target).await;
    text.send(Message::text("hello")).await.expect("the socket is open");
    assert_eq!(refusal(&mut text).await.0, CloseCode::Malformed as u16);

    let term = target.status().await.expect("it answers").raft_term;
    assert_eq!(term, 1, "nobody stood for election");
    target.kv().put(put("a", "1")).await.expect("the cluster goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_links_of_one_run_the_newer_counts() {
    let servers = three().await;
    // A member's name, by a run that proves nothing: it gets no vote and ends nothing.
    let mut older = peer_socket(&servers[0]).await;
    send(&mut older, stranger("b", 1)).await;
    let mut newer = peer_socket(&servers[0]).await;
    send(&mut newer, stranger("b", 1)).await;
    assert_eq!(closed(&mut older).await.0, CloseCode::Replaced as u16);
    drop(newer);
    tokio::time::sleep(Duration::from_millis(300)).await;
    servers[0].kv().put(put("a", "1")).await.expect("the cluster goes on");
    assert_eq!(servers[0].status().await.expect("it answers").raft_term, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn web_sites_do_not_come_in_by_the_peer_port() {
    let server = one().await;
    let refused = async |path: &str, origin: Option<&str>| {
        let url = format!("ws://127.0.0.1:{}{path}", server.peer);
        let mut request = url.into_client_request().expect("a URL");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header"));
        }
        match connect_async(request).await {
            Ok(_) => None,
            Err(Error::Http(answer)) => Some(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused("/peer", None).await, None);
    assert_eq!(refused("/relay", None).await, Some(404));
    let own = format!("http://127.0.0.1:{}", server.peer);
    assert_eq!(refused("/peer", Some(&own)).await, Some(403));
    assert_eq!(refused("/peer", Some("http://evil.example")).await, Some(403));
}

fn attach(who: Attachee) -> Vec<u8> {
    Frame::Attach(Attach { cluster: "default".into(), build: String::new(), who }).encode()
}

async fn relay_socket(server: &Server) -> Socket {
    let url = format!("ws://{}/relay", server.address());
    connect_async(url).await.expect("it listens").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_sees_the_member_and_no_page_hosts_one() {
    let server = one().await;
    let mut console = relay_socket(&server).await;
    send(&mut console, attach(Attachee::Console)).await;
    let (mut present, mut leads) = (false, false);
    while !(present && leads) {
        let bytes = receive(&mut console).await;
        match Frame::decode(&bytes).expect("a frame") {
            Frame::Present(presence) => present = presence.name == "default",
            Frame::Report(report) => leads = report.role == Role::Leader,
            _ => {}
        }
    }
    let mut page = relay_socket(&server).await;
    let boot = Boot { counter: 1, nonce: 1 };
    let incarnation = Incarnation(1);
    let presence = Presence { name: "1".into(), incarnation, boot, formed: None };
    send(&mut page, attach(Attachee::Member(presence))).await;
    let (code, reason) = refusal(&mut page).await;
    assert_eq!(code, CloseCode::Foreign as u16);
    assert!(reason.contains("its page hosts none"), "{reason}");
    server.kv().put(put("a", "1")).await.expect("puts");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_told_that_it_hosts_no_member() {
    let site = tempfile::tempdir().expect("a directory");
    std::fs::write(site.path().join("index.html"), "<!doctype html>").expect("writes");
    std::fs::write(site.path().join("build.json"), "{\"build\":\"b1\"}").expect("writes");
    let flag = site.path().display().to_string();
    let mut server = common::server::members(&["default"]).remove(0).with(&["--site", &flag]);
    server.start();
    server.ready().await;
    let answer = server.get("/build.json").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let file: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(file, serde_json::json!({ "build": "b1", "members": false }));
    assert!(server.get("/").await.contains("<!doctype html>"));
}
