//! `cargo xtask up`: build, serve, say where, and end together with the hub.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::site::{self, Site};
use crate::{root, run};

/// How long the hub may take until it answers.
const READY_MAX: Duration = Duration::from_secs(30);
/// How often it is asked.
const READY_POLL: Duration = Duration::from_millis(50);
/// How long one question may take.
const ASK_MAX: Duration = Duration::from_secs(2);

/// Where to serve.
#[derive(Args)]
pub(crate) struct Options {
    /// The port on 127.0.0.1 for the page, gRPC and the relay.
    #[arg(long, default_value_t = 2379, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Do not open the page in a browser.
    #[arg(long)]
    no_open: bool,
}

/// Builds and serves until the hub ends.
pub(crate) fn up(options: &Options) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    // Asked before the build, which takes minutes.
    require_free(address)?;
    let site = site::build(site::Options::default())?;
    let mut hub = start(&site, address)?;
    let pid = Pid::from_child(&hub);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch signals")?;
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    thread::spawn(move || {
        for _ in signals.forever() {
            end.store(true, Ordering::SeqCst);
            // It fails only when the hub has ended, and then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
    });
    if wait_ready(&mut hub, address)? {
        println!("kvorum ready: http://{address}/");
        std::io::stdout().flush()?;
        if !options.no_open {
            open(&format!("http://{address}/"));
        }
    }
    let status = hub.wait()?;
    if !status.success() && !ended.load(Ordering::SeqCst) {
        bail!("the hub ended ({status}); its last lines above say why");
    }
    Ok(())
}

/// Ends with an error that says what to do when someone else holds the port.
fn require_free(address: SocketAddr) -> Result<()> {
    let Err(error) = TcpListener::bind(address) else { return Ok(()) };
    let port = address.port();
    if ask(address).is_some_and(|answer| answer.contains("\"build\"")) {
        bail!(
            "port {port} is in use: Kvorum already runs at http://{address}/; for another one \
             choose another port with --port"
        );
    }
    bail!("port {port} on 127.0.0.1 cannot be used ({error}); choose another one with --port");
}

/// Starts the hub in a process group of its own: Ctrl-C reaches it once, from us.
fn start(site: &Site, address: SocketAddr) -> Result<Child> {
    let data = root::path(".kvorum").join(format!("up-{}", address.port()));
    let mut command = run::command(&site.program);
    command.args(["hub", "--listen-client-urls"]).arg(format!("http://{address}"));
    command.arg("--data-dir").arg(data).arg("--site").arg(&site.dir).process_group(0);
    command.spawn().with_context(|| format!("cannot start `{}`", run::line(&command)))
}

/// Waits until the hub answers; false when it was ended meanwhile by a signal to us.
fn wait_ready(hub: &mut Child, address: SocketAddr) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < READY_MAX {
        if hub.try_wait()?.is_some() {
            return Ok(false);
        }
        if ask(address).is_some_and(|answer| answer.contains("\"build\"")) {
            return Ok(true);
        }
        thread::sleep(READY_POLL);
    }
    hub.kill()?;
    hub.wait()?;
    bail!("the hub does not answer at http://{address}/ within {} s", READY_MAX.as_secs());
}

/// What `GET /build.json` gives, headers and all.
fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, ASK_MAX).ok()?;
    stream.set_read_timeout(Some(ASK_MAX)).ok()?;
    let request =
        format!("GET /build.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // A server that does not close leaves us with what came until then.
    let _ = stream.take(64 * 1024).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// Opens the page in the person's browser, where there is one.
fn open(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    // Without a display xdg-open falls back to browsers for the terminal: worse than none.
    let display =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if cfg!(target_os = "macos") || display {
        let mut command = Command::new(opener);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The address is printed: a browser that does not open is no reason to stop.
        let _ = command.spawn();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::require_free;

    #[test]
    fn a_port_in_use_names_the_port_and_the_flag() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        // A listener whose backlog nobody serves accepts and stays silent.
        let error = require_free(address).unwrap_err().to_string();
        assert!(error.contains(&address.port().to_string()), "{error}");
        assert!(error.contains("--port"), "{error}");
        drop(held);
        require_free(address).unwrap();
    }
}
