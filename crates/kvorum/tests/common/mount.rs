//! A file system of its own, so small that it can be filled.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::server::Server;

/// A mount that only those see who enter its namespace. It goes when this is dropped.
pub(crate) struct Mount {
    holder: Child,
    dir: TempDir,
}

impl Mount {
    /// Of so many MiB. Nothing where this system does not let its users have one.
    fn of(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mount = format!(
            "mount -t tmpfs -o size={mib}m kvorum-test \"$0\" && echo mounted && exec cat >&2"
        );
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut said = String::new();
        let mut mount = Self { holder: holder.ok()?, dir };
        let out = mount.holder.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut said).expect("it can be read");
        if said != "mounted\n" {
            return None;
        }
        Some(mount)
    }

    /// As [`of`](Self::of), and says if it cannot be: past the runner, which keeps to itself what a
    /// test prints that is content.
    pub(crate) fn or_skip(mib: u32) -> Option<Self> {
        let mount = Self::of(mib);
        if mount.is_none() {
            let words =
                "SKIPPED: full disks; users may mount nothing here (unshare --user --mount)";
            writeln!(std::io::stderr(), "{words}").expect("it can be said");
        }
        mount
    }

    /// This member, with its data there.
    pub(crate) fn holds(&self, server: Server) -> Server {
        self.holds_as("data", server)
    }

    /// One of several members, with its data there in a directory of its own.
    pub(crate) fn holds_as(&self, name: &str, server: Server) -> Server {
        let data = self.dir.path().join(name);
        let mut first = self.enter();
        first.push(env!("CARGO_BIN_EXE_kvorum").into());
        server.at(data).run_by("nsenter", first)
    }

    fn enter(&self) -> Vec<OsString> {
        let target = format!("--target={}", self.holder.id());
        ["--user", "--mount", "--preserve-credentials", &target, "--"].map(Into::into).into()
    }

    /// Where the data is, for those who are not there.
    pub(crate) fn data(&self) -> PathBuf {
        self.outside("data")
    }

    fn outside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.path().strip_prefix("/").expect("it is absolute")).join(name)
    }

    /// Lets nobody write any more, or again.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        let mut mount = Command::new("nsenter");
        mount.args(self.enter()).args(["mount", "-o", option]).arg(self.dir.path());
        assert!(mount.status().expect("there is nsenter").success(), "{option}");
    }

    /// Takes all room that is left. Somebody else's file, in the way of the member.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.outside("filler")).expect("a file");
        let full = loop {
            if let Err(error) = file.write_all(&[1; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    /// Gives it back.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.outside("filler")).expect("it is there");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
