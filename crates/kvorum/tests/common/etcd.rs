//! The real etcd and its etcdctl, which `cargo xtask test` brings.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::WAIT;

/// A running etcd of one member. Dropping it kills it.
pub(crate) struct Etcd {
    child: Child,
    _dir: TempDir,
    pub(crate) address: String,
}

/// What a command of etcdctl has said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program that a variable names, or that `cargo xtask test` has built.
pub(crate) fn program(variable: &str, name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/etcd").join(name);
    let path = std::env::var_os(variable).map_or(built, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no {name} at {}: `cargo xtask test --only native` builds it, or {variable} \
         names it",
        path.display()
    );
    path
}

impl Etcd {
    /// On free ports, in a directory of its own.
    pub(crate) fn start(program: &Path, etcdctl: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let [client, peer] = [free_port(), free_port()].map(|p| format!("http://127.0.0.1:{p}"));
        let log = File::create(dir.path().join("log")).expect("a file");
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        let address = client.trim_start_matches("http://").to_owned();
        let etcd = Self { child, _dir: dir, address };
        let since = Instant::now();
        while run(etcdctl, &etcd.address, &["get", "x"], b"").code != Some(0) {
            assert!(since.elapsed() < WAIT, "etcd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        etcd
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn command(etcdctl: &Path, address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(etcdctl);
    command.env_clear().arg("--endpoints").arg(address).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs one command to its end.
pub(crate) fn run(etcdctl: &Path, address: &str, args: &[&str], input: &[u8]) -> Said {
    let mut child = command(etcdctl, address, args).spawn().expect("etcdctl starts");
    // One that does not read has ended, and says why.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).replace(address, "ENDPOINT"),
        err: errors(&String::from_utf8_lossy(&output.stderr), address),
    }
}

/// Runs a command until it has printed this many lines.
pub(crate) fn lines(etcdctl: &Path, address: &str, args: &[&str], count: usize) -> Vec<String> {
    use std::io::{BufRead, BufReader};
    let mut child = command(etcdctl, address, args).spawn().expect("etcdctl starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let (say, said) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                break;
            }
        }
    });
    let lines = (0..count).map_while(|_| said.recv_timeout(WAIT / 2).ok()).collect();
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    drop(said);
    reader.join().expect("no panic");
    lines
}

/// What of stderr is about the request. Log lines are JSON; of them the error is.
fn errors(text: &str, address: &str) -> String {
    let mut kept = Vec::new();
    for line in text.lines() {
        match serde_json::from_str::<serde_json::Value>(line) {
            Ok(log) => kept.push(format!("log: {}", log["error"])),
            Err(_) => kept.push(line.replace(address, "ENDPOINT")),
        }
    }
    kept.join("\n")
}
