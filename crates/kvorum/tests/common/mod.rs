//! Runs the program itself, on a free port, in a directory of its own.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod etcd;
pub(crate) mod members;
pub(crate) mod mount;
pub(crate) mod server;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longer than anything here takes.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// A running hub. Dropping it kills it.
pub(crate) struct Hub {
    child: Child,
    dir: TempDir,
    pub(crate) port: u16,
}

/// A WebSocket to a hub.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Hub {
    /// On a free port, with a page.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let site = dir.path().join("site");
        std::fs::create_dir(&site).expect("a directory");
        let page = "<!doctype html><title>the page</title>".repeat(99);
        std::fs::write(site.join("index.html"), page).expect("writes");
        std::fs::write(site.join("build.json"), "{\"build\":\"b1\"}").expect("writes");
        std::fs::write(site.join("node.wasm"), b"\0asm".repeat(999)).expect("writes");
        let (child, port) = spawn_ready(dir.path(), 0).await;
        Self { child, dir, port }
    }

    /// Kills it with SIGKILL and starts it again on its port and directory.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill();
        let (child, port) = spawn_ready(self.dir.path(), self.port).await;
        (self.child, self.port) = (child, port);
    }

    /// With SIGKILL: nothing is tidied up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(kill.expect("there is a kill").success());
        wait_for_end(&mut self.child)
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The whole answer to a GET of this path.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("it listens");
        let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {}\r\n", self.address());
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A WebSocket, opened with these headers.
    pub(crate) async fn socket_with(
        &self,
        headers: &[(&'static str, String)],
    ) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/relay", self.address()).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    /// A WebSocket as the page opens one.
    pub(crate) async fn socket(&self) -> Socket {
        let origin = format!("http://{}", self.address());
        self.socket_with(&[("origin", origin)]).await.expect("the hub lets its page in")
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a hub in a directory.
pub(crate) fn spawn(dir: &Path, url: &str, data: &Path) -> Child {
    let log = File::create(dir.join("stderr")).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_kvorum"))
        .args(["hub", "--listen-client-urls", url, "--data-dir"])
        .arg(data)
        .arg("--site")
        .arg(dir.join("site"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program is built")
}

/// What a hub that ended has said.
pub(crate) fn said(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("stderr")).expect("a file")
}

/// Waits until a process ends by itself.
pub(crate) fn wait_for_end(child: &mut Child) -> ExitStatus {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        assert!(since.elapsed() < WAIT, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn spawn_ready(dir: &Path, port: u16) -> (Child, u16) {
    let url = format!("http://127.0.0.1:{port}");
    let mut child = spawn(dir, &url, &dir.join("data"));
    let since = Instant::now();
    loop {
        let said = said(dir);
        if let Some((_, rest)) = said.split_once("kvorum hub: http://127.0.0.1:")
            && let Some((port, _)) = rest.split_once('/')
        {
            return (child, port.parse().expect("a port"));
        }
        let ended = child.try_wait().expect("it is ours");
        assert!(ended.is_none() && since.elapsed() < WAIT, "it does not start: {said}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends one binary message.
pub(crate) async fn send(socket: &mut Socket, bytes: Vec<u8>) {
    socket.send(Message::Binary(bytes.into())).await.expect("the socket is open");
}

/// The next binary message.
pub(crate) async fn receive(socket: &mut Socket) -> Vec<u8> {
    loop {
        let next = tokio::time::timeout(WAIT, socket.next()).await.expect("in time");
        match next.expect("the socket is open").expect("a message") {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not a frame: {other:?}"),
        }
    }
}

/// How a socket ends: the close's code and reason. Frames before it are dropped.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        let next = tokio::time::timeout(WAIT, socket.next()).await.expect("in time");
        match next.expect("a close comes first").expect("a message") {
            Message::Close(Some(close)) => return (close.code.into(), close.reason.to_string()),
            Message::Close(None) => panic!("a close without a reason"),
            _ => {}
        }
    }
}
