//! Golden scripts: a relay driven by typed commands, every output spelled out.
//!
//! ```text
//! relay build=b1 default=c1         a fresh relay; names that are bound
//! attach 1 member=1 inc=7 boot=1.9 formed=c1.a1
//! attach 5                          a console
//! ---
//! 1 <- Attached bound=c1
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::num::ParseIntError;

use api::Bytes;
use api::frame::{Attach, Attachee, Frame, Presence, Route, decode_body, encode_body};
use api::identity::{Boot, ClusterId, Incarnation, RaftId};
use api::limits;
use api::report::{MemberReport, Role};
use api::session::{ClientMessage, ServerMessage};

use crate::{Config, Guests, Input, Output, Relay};

/// Runs a script and gives it back with the output that it really has.
pub fn run(script: &str) -> String {
    let mut runner = Runner { relay: Relay::new(Config::default()), opened: BTreeSet::new() };
    goldenscript::generate(&mut runner, script).unwrap_or_else(|error| panic!("{error}"))
}

#[derive(goldenscript::Command)]
enum Command {
    /// Starts afresh.
    Relay {
        #[arg(key, optional)]
        build: String,
        #[arg(key, many, optional)]
        bindings: Vec<(String, String)>,
    },
    /// Opens a connection, for consoles only if it says so.
    Open {
        conn: u64,
        #[arg(key, optional)]
        consoles: bool,
    },
    /// Attaches; as a console without `member`.
    Attach {
        conn: u64,
        #[arg(key)]
        member: Option<String>,
        #[arg(key, optional)]
        inc: String,
        #[arg(key)]
        boot: Option<String>,
        #[arg(key)]
        formed: Option<String>,
        #[arg(key)]
        cluster: Option<String>,
        #[arg(key, optional)]
        build: String,
    },
    /// The binding is durable.
    Saved {
        name: Option<String>,
    },
    /// It could not be made so.
    NotSaved {
        reason: String,
    },
    /// The connection is gone.
    Close {
        conn: u64,
    },
    /// Its queue is full.
    Slow {
        conn: u64,
    },
    /// Its queue is nearly full, or empty enough again.
    Full {
        conn: u64,
    },
    Room {
        conn: u64,
    },
    /// Some time has passed.
    Look,
    /// Peer frame routed by names.
    Names {
        conn: u64,
        from: String,
        to: String,
        body: String,
    },
    /// Peer frame routed by members, as `CLUSTER.ID` and boots.
    Members {
        conn: u64,
        body: String,
        #[arg(key)]
        from: String,
        #[arg(key)]
        from_boot: String,
        #[arg(key)]
        to: String,
        #[arg(key)]
        to_boot: String,
    },
    /// A member's report.
    Report {
        conn: u64,
        role: String,
        #[arg(key)]
        member: String,
        #[arg(key)]
        boot: String,
        #[arg(key)]
        formed: Option<String>,
        #[arg(key)]
        leader: Option<String>,
    },
    /// Console to member; the body is text.
    Ask {
        conn: u64,
        session: u64,
        body: String,
    },
    /// Console to member: the session is over.
    End {
        conn: u64,
        session: u64,
    },
    /// Member to console; the body is text.
    Reply {
        conn: u64,
        session: u64,
        body: String,
    },
    /// Member to console: the session is over.
    Lose {
        conn: u64,
        session: u64,
        reason: String,
    },
    /// Gives the name away; `NAME=BOOT` are the members of the asking page.
    Rebind {
        conn: u64,
        #[arg(key, many, optional)]
        hosted: Vec<(String, String)>,
    },
    /// Raw bytes, in hex.
    Bytes {
        conn: u64,
        hex: Option<String>,
    },
    /// A frame of so many bytes.
    Large {
        conn: u64,
        extra: i64,
    },
}

struct Runner {
    relay: Relay,
    /// Connections that were opened.
    opened: BTreeSet<u64>,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(
        &mut self,
        command: &Command,
        _context: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        match command {
            Command::Relay { build, bindings } => self.restart(build, bindings)?,
            Command::Open { conn, consoles } => {
                self.open(*conn, if *consoles { Guests::Consoles } else { Guests::All });
            }
            Command::Saved { name } => self.relay.handle(Input::Saved { name: room(name) }),
            Command::NotSaved { reason } => {
                self.relay.handle(Input::NotSaved { name: room(&None), reason: reason.clone() });
            }
            Command::Close { conn } => self.relay.handle(Input::Closed { conn: *conn }),
            Command::Slow { conn } => self.relay.handle(Input::Slow { conn: *conn }),
            Command::Full { conn } => self.relay.handle(Input::Full { conn: *conn }),
            Command::Room { conn } => self.relay.handle(Input::Room { conn: *conn }),
            Command::Look => self.relay.handle(Input::Look),
            Command::Bytes { conn, hex } => self.bytes(*conn, hex_bytes(hex)?),
            Command::Large { conn, extra } => {
                let size = limits::FRAME_BYTES as i64 + extra;
                self.bytes(*conn, vec![api::frame::VERSION; usize::try_from(size)?]);
            }
            frame => self.frame(frame)?,
        }
        let mut text = String::new();
        while let Some(output) = self.relay.poll() {
            writeln!(text, "{}", show(&output))?;
        }
        Ok(text)
    }
}

impl Runner {
    fn restart(
        &mut self,
        build: &str,
        bindings: &[(String, String)],
    ) -> Result<(), Box<dyn Error>> {
        let mut config =
            Config { build: build.into(), page: "http://page/".into(), ..Config::default() };
        for (name, cluster) in bindings {
            config.bindings.insert(name.clone(), ClusterId(hex(cluster)?));
        }
        self.relay = Relay::new(config);
        self.opened.clear();
        Ok(())
    }

    fn open(&mut self, conn: u64, guests: Guests) {
        self.opened.insert(conn);
        self.relay.handle(Input::Opened { conn, guests });
    }

    fn bytes(&mut self, conn: u64, bytes: Vec<u8>) {
        if !self.opened.contains(&conn) {
            self.open(conn, Guests::All);
        }
        self.relay.handle(Input::Frame { conn, bytes: Bytes::from(bytes) });
    }

    fn frame(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let body;
        let (conn, frame) = match command {
            Command::Attach { conn, member, inc, boot, formed, cluster, build } => {
                let who = match member {
                    None => Attachee::Console,
                    Some(name) => Attachee::Member(Presence {
                        name: name.clone(),
                        incarnation: Incarnation(inc.parse()?),
                        boot: parse_boot(boot.as_deref().unwrap_or("1.1"))?,
                        formed: formed.as_deref().map(parse_formed).transpose()?,
                    }),
                };
                let attach = Attach { cluster: room(cluster), build: build.clone(), who };
                (conn, Frame::Attach(attach))
            }
            Command::Names { conn, from, to, body } => {
                let route = Route::Names { from: from.clone(), to: to.clone() };
                (conn, Frame::Peer { route, body: body.as_bytes() })
            }
            Command::Members { conn, body, from, from_boot, to, to_boot } => {
                let (cluster, from) = parse_formed(from)?;
                let (_, to) = parse_formed(to)?;
                let (from_boot, to_boot) = (parse_boot(from_boot)?, parse_boot(to_boot)?);
                let route = Route::Members { cluster, from, from_boot, to, to_boot, counter: 1 };
                (conn, Frame::Peer { route, body: body.as_bytes() })
            }
            Command::Report { conn, role, member, boot, formed, leader } => {
                let ids = formed.as_deref().map(parse_formed).transpose()?;
                (conn, Frame::Report(report(member, parse_boot(boot)?, ids, role, leader)?))
            }
            Command::Ask { conn, session, body } => {
                (conn, Frame::Client { session: *session, body: body.as_bytes() })
            }
            Command::End { conn, session } => {
                body = encode_body(&ClientMessage::End);
                (conn, Frame::Client { session: *session, body: &body })
            }
            Command::Reply { conn, session, body } => {
                (conn, Frame::Server { session: *session, body: body.as_bytes() })
            }
            Command::Lose { conn, session, reason } => {
                body = encode_body(&ServerMessage::Lost(api::Error::Unavailable(reason.clone())));
                (conn, Frame::Server { session: *session, body: &body })
            }
            Command::Rebind { conn, hosted } => {
                let parse = |(name, boot): &(String, String)| Ok((name.clone(), parse_boot(boot)?));
                let hosted: Result<_, ParseIntError> = hosted.iter().map(parse).collect();
                (conn, Frame::Rebind { hosted: hosted? })
            }
            _ => return Err("not a frame".into()),
        };
        self.bytes(*conn, frame.encode());
        Ok(())
    }
}

fn room(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| "default".into())
}

fn hex(text: &str) -> Result<u64, ParseIntError> {
    u64::from_str_radix(text, 16)
}

fn hex_bytes(text: &Option<String>) -> Result<Vec<u8>, ParseIntError> {
    let text = text.as_deref().unwrap_or_default();
    let pairs = (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16));
    pairs.collect()
}

/// `COUNTER.NONCE`
fn parse_boot(text: &str) -> Result<Boot, ParseIntError> {
    let (counter, nonce) = text.split_once('.').unwrap_or((text, "0"));
    Ok(Boot { counter: counter.parse()?, nonce: nonce.parse()? })
}

/// `CLUSTER.ID`, in hex
fn parse_formed(text: &str) -> Result<(ClusterId, RaftId), ParseIntError> {
    let (cluster, raft) = text.split_once('.').unwrap_or((text, "0"));
    Ok((ClusterId(hex(cluster)?), RaftId(hex(raft)?)))
}

fn report(
    name: &str,
    boot: Boot,
    ids: Option<(ClusterId, RaftId)>,
    role: &str,
    leader: &Option<String>,
) -> Result<MemberReport, Box<dyn Error>> {
    Ok(MemberReport {
        name: name.into(),
        cluster: ids.map(|(cluster, _)| cluster),
        raft: ids.map(|(_, raft)| raft),
        boot,
        role: match role {
            "leader" => Role::Leader,
            "follower" => Role::Follower,
            "candidate" => Role::Candidate,
            "waiting" => Role::Waiting { awaited: Vec::new() },
            "refused" => Role::Refused("wiped".into()),
            "halted" => Role::Halted("sync failed".into()),
            other => return Err(format!("no role {other:?}").into()),
        },
        leader: leader.clone(),
        term: 0,
        commit: 0,
        applied: 0,
        revision: 0,
        peers: Vec::new(),
    })
}

fn show(output: &Output) -> String {
    match output {
        Output::Send { conn, frame } => match Frame::decode(frame) {
            Ok(frame) => format!("{conn} <- {}", show_frame(&frame)),
            Err(error) => format!("{conn} <- not a frame: {error}"),
        },
        Output::Close { conn, code, reason } => {
            format!("{conn} closed {} {code:?}: {reason}", *code as u16)
        }
        Output::SaveBinding { name, cluster: Some(id) } => format!("save {name} -> {id}"),
        Output::SaveBinding { name, cluster: None } => format!("save {name} -> nobody"),
    }
}

fn show_frame(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Attached(attached) => match attached.bound {
            Some(id) => format!("Attached, bound to {id}"),
            None => "Attached, unbound".into(),
        },
        Frame::Present(presence) => format!("Present {}", show_presence(presence)),
        Frame::Gone(presence) => format!("Gone {}", show_presence(presence)),
        Frame::Report(report) => format!("Report {} {:?}", report.name, report.role),
        Frame::Peer { route, body } => format!("Peer {} {}", show_route(route), show_text(body)),
        Frame::Client { session, body } => {
            let end = decode_body(body) == Ok(ClientMessage::End);
            format!("Client {session} {}", if end { "End".into() } else { show_text(body) })
        }
        Frame::Server { session, body } => match decode_body(body) {
            Ok(ServerMessage::Lost(error)) => format!("Server {session} Lost: {error}"),
            _ => format!("Server {session} {}", show_text(body)),
        },
        Frame::Rebound(Ok(())) => "Rebound".into(),
        Frame::Rebound(Err(reason)) => format!("Rebound not: {reason}"),
        Frame::Refused { code, reason } => format!("Refused {code:?}: {reason}"),
        other => format!("{other:?}"),
    }
}

fn show_text(body: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(body))
}

fn show_boot(boot: &Boot) -> String {
    format!("{}.{}", boot.counter, boot.nonce)
}

fn show_presence(presence: &Presence) -> String {
    let Presence { name, incarnation, boot, formed } = presence;
    let formed = match formed {
        Some((cluster, raft)) => format!("formed={cluster}.{raft}"),
        None => "unformed".into(),
    };
    format!("{name} inc={} boot={} {formed}", incarnation.0, show_boot(boot))
}

fn show_route(route: &Route) -> String {
    match route {
        Route::Names { from, to } => format!("{from} -> {to}"),
        Route::Members { cluster, from, from_boot, to, to_boot, counter } => {
            let (from_boot, to_boot) = (show_boot(from_boot), show_boot(to_boot));
            format!("{cluster}: {from}@{from_boot} -> {to}@{to_boot} #{counter}")
        }
    }
}
