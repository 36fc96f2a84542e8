//! What the programs beside this directory share: servers of their own, and callers.

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const START_MAX: Duration = Duration::from_secs(60);

/// A program that serves etcd's API.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    path: PathBuf,
    first: &'static [&'static str],
}

impl Program {
    /// A Kvorum.
    pub(crate) fn kvorum(name: &str, path: PathBuf) -> Self {
        Self { name: name.into(), path, first: &["server"] }
    }

    /// The Kvorum that stands beside this program, then the etcd that `ETCD` names, if it does.
    pub(crate) fn built_and_etcd() -> Result<(Self, Option<Self>)> {
        let kvorum = built()?.join("kvorum");
        if !kvorum.is_file() {
            return Err(format!("{} is not built", kvorum.display()).into());
        }
        let etcd = std::env::var_os("ETCD").map(PathBuf::from);
        if etcd.is_none() {
            println!("(no etcd: name its program with ETCD)");
        }
        let etcd = etcd.map(|path| Self { name: "etcd".into(), path, first: &[] });
        Ok((Self::kvorum("kvorum", kvorum), etcd))
    }

    /// Starts it in an empty directory on the disk of `target`.
    pub(crate) fn start(&self, flags: &[&str]) -> Result<Server> {
        let dir = tempfile::tempdir_in(built()?)?;
        let (client, peer) = (free_port()?, free_port()?);
        let [client_url, peer_url] = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
        let cluster = format!("default={peer_url}");
        let mut args: Vec<String> = self.first.iter().map(ToString::to_string).collect();
        for (flag, value) in [
            ("--listen-client-urls", &client_url),
            ("--advertise-client-urls", &client_url),
            ("--listen-peer-urls", &peer_url),
            ("--initial-advertise-peer-urls", &peer_url),
            ("--initial-cluster", &cluster),
        ] {
            args.extend([flag.into(), value.clone()]);
        }
        args.extend(flags.iter().map(ToString::to_string));
        args.extend(["--data-dir".into(), dir.path().join("data").display().to_string()]);
        let address = format!("127.0.0.1:{client}");
        let mut server = Server { program: self.path.clone(), args, child: None, address, dir };
        server.again()?;
        Ok(server)
    }
}

/// Where cargo puts programs.
pub(crate) fn built() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let built = this.parent().and_then(Path::parent).ok_or("not started by cargo")?;
    Ok(built.to_path_buf())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A server. It ends with this.
pub(crate) struct Server {
    program: PathBuf,
    args: Vec<String>,
    child: Option<Child>,
    pub(crate) address: String,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it, or starts it again.
    pub(crate) fn again(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn channel(&self) -> Result<Channel> {
        Ok(Channel::from_shared(format!("http://{}", self.address))?.connect_lazy())
    }

    pub(crate) fn kv(&self) -> Result<KvClient<Channel>> {
        Ok(KvClient::new(self.channel()?).max_decoding_message_size(usize::MAX))
    }

    /// Waits for its first linearizable read; how long it took.
    pub(crate) async fn ready(&self) -> Result<Duration> {
        let since = Instant::now();
        loop {
            let read = pb::RangeRequest { key: "k".into(), ..pb::RangeRequest::default() };
            match self.kv()?.range(read).await {
                Ok(_) => return Ok(since.elapsed()),
                Err(error) if since.elapsed() > START_MAX => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// Bytes of its files whose names, or whose directories' names, begin so.
    pub(crate) fn bytes_of(&self, names: &[&str]) -> Result<u64> {
        sum(&self.dir.path().join("data"), names)
    }

    /// Bytes of memory: now, and at most so far.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let id = self.child.as_ref().ok_or("it does not run")?.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        Ok((field("VmRSS:").ok_or("no VmRSS")?, field("VmHWM:").ok_or("no VmHWM")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn sum(dir: &Path, names: &[&str]) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let counts = names.iter().any(|begin| name.starts_with(begin));
        bytes += match entry.file_type()?.is_dir() {
            true => sum(&entry.path(), if counts { &[""] } else { names })?,
            false if counts => entry.metadata()?.len(),
            false => 0,
        };
    }
    Ok(bytes)
}
