//! The hub from outside: who gets in, what is served, how it starts and ends.

mod common;

use std::time::{Duration, Instant};

use common::{Hub, said, spawn, wait_for_end};
use tokio_tungstenite::tungstenite::Error;

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("an HTTP answer")
}

#[tokio::test]
async fn the_page_is_served_to_be_asked_for_again() {
    let hub = Hub::start().await;
    let page = hub.get("/?member=2", &[]).await;
    assert_eq!(status(&page), "200");
    assert!(page.contains("<title>the page</title>"));
    assert!(page.contains("content-type: text/html") && page.contains("cache-control: no-cache"));
    for header in [
        "x-content-type-options: nosniff",
        "cross-origin-opener-policy: same-origin",
        "frame-ancestors 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
    ] {
        assert!(page.contains(header), "{header} in {page}");
    }
    assert!(page.contains(&format!("connect-src 'self' ws://{}", hub.address())));
    let (_, etag) = page.split_once("etag: ").expect("an ETag");
    let etag = etag.lines().next().expect("a line");
    let again = hub.get("/", &[("If-None-Match", etag)]).await;
    assert_eq!(status(&again), "304");

    let wasm = hub.get("/node.wasm", &[("Accept-Encoding", "gzip")]).await;
    assert!(wasm.contains("content-type: application/wasm"), "{wasm}");
    assert!(wasm.contains("content-encoding: gzip"), "{wasm}");
    let build = hub.get("/build.json", &[]).await;
    assert!(build.ends_with("{\"build\":\"b1\"}"), "{build}");
    assert_eq!(status(&hub.get("/nothing", &[]).await), "404");
    assert_eq!(status(&hub.get("/../data/lock", &[]).await), "404");
    assert_eq!(status(&hub.get("/%2e%2e/data/lock", &[]).await), "404");
}

#[tokio::test]
async fn a_page_by_another_name_is_sent_to_the_one_address() {
    let hub = Hub::start().await;
    let host = format!("localhost:{}", hub.port);
    let page = hub.get("/?member=3", &[("Host", &host), ("Accept", "text/html,*/*")]).await;
    assert_eq!(status(&page), "307");
    assert!(page.contains(&format!("location: http://{}/?member=3", hub.address())), "{page}");
}

#[tokio::test]
async fn other_names_and_other_sites_stay_out() {
    let hub = Hub::start().await;
    let port = hub.port;
    let ours = hub.address();
    let foreign = format!("evil.example:{port}");
    let paths = ["/", "/build.json", "/relay", "/etcdserverpb.KV/Put"];
    for path in paths {
        assert_eq!(status(&hub.get(path, &[("Host", &foreign)]).await), "421", "{path}");
        let origin = [("Origin", "http://evil.example")];
        assert_eq!(status(&hub.get(path, &origin).await), "403", "{path}");
    }
    let table: [(String, Option<String>, Option<u16>); 7] = [
        (ours.clone(), None, None),
        (ours.clone(), Some(format!("http://{ours}")), None),
        (ours.clone(), Some("http://evil.example".into()), Some(403)),
        (ours.clone(), Some(format!("http://evil.example:{port}")), Some(403)),
        (ours.clone(), Some("null".into()), Some(403)),
        (foreign.clone(), Some(format!("http://{foreign}")), Some(421)),
        (format!("127.0.0.1:{}", port ^ 1), None, Some(421)),
    ];
    for (host, origin, refused) in table {
        let mut headers = vec![("host", host.clone())];
        headers.extend(origin.clone().map(|origin| ("origin", origin)));
        let code = match hub.socket_with(&headers).await {
            Ok(_) => None,
            Err(Error::Http(answer)) => Some(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(code, refused, "{host} {origin:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let hub = Hub::start().await;
    let other = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(other.path().join("site")).expect("a directory");
    std::fs::write(other.path().join("site/build.json"), "{\"build\":\"\"}").expect("writes");
    let url = format!("http://{}", hub.address());
    let mut child = spawn(other.path(), &url, &other.path().join("data"));
    assert!(!wait_for_end(&mut child).success());
    let said = said(other.path());
    assert!(said.contains(&format!("port {}", hub.port)), "{said}");
    assert!(said.contains("--listen-client-urls"), "{said}");
    assert!(!other.path().join("data").exists(), "nothing is left behind");
}

#[tokio::test]
async fn two_hubs_do_not_share_a_directory() {
    let hub = Hub::start().await;
    let other = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(other.path().join("site")).expect("a directory");
    std::fs::write(other.path().join("site/build.json"), "{\"build\":\"\"}").expect("writes");
    let mut child = spawn(other.path(), "http://127.0.0.1:0", &hub.data());
    assert!(!wait_for_end(&mut child).success());
    let said = said(other.path());
    assert!(said.contains("another hub uses the data directory"), "{said}");
    assert!(said.contains("--data-dir"), "{said}");
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    let mut hub = Hub::start().await;
    let mut socket = hub.socket().await;
    let since = Instant::now();
    let ending = std::thread::spawn(move || hub.terminate());
    assert_eq!(common::closed(&mut socket).await, (1001, "the hub stops".into()));
    assert!(ending.join().expect("no panic").success());
    assert!(since.elapsed() < Duration::from_secs(3));
}
