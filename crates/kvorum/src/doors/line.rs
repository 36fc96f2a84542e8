//! How a console reaches members: through a relay, or straight to the node of this process.

use std::sync::Arc;
use std::time::Duration;

use api::Bytes;
use api::frame::{Attach, Attachee, Frame};
use api::report::MemberReport;
use node::Timing;
use relay::Guests;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};

use crate::net::link::Ended;
use crate::net::queue::Outgoing;
use crate::net::relay::{RelayHandle, RelayLink};
use crate::server::host::{NodeHandle, Reply};

/// The way to all members that these doors serve.
#[derive(Clone)]
pub(crate) enum Way {
    /// Any cluster whose members are at the relay.
    Relay(RelayHandle),
    /// The member of this process.
    Node(Home),
}

/// A node of this process, as its doors find it.
#[derive(Clone)]
pub(crate) struct Home {
    /// The cluster that it is of.
    pub(crate) cluster: String,
    /// The way to it.
    pub(crate) node: NodeHandle,
    /// What it answers. There is one console, so nobody waits for it.
    pub(crate) replies: Arc<Mutex<mpsc::UnboundedReceiver<Reply>>>,
    /// How long it hears nothing of a leader before it stands for election.
    pub(crate) election_timeout: Duration,
}

/// One console's connection.
pub(super) enum Line {
    Relay(RelayLink),
    Node {
        node: NodeHandle,
        replies: OwnedMutexGuard<mpsc::UnboundedReceiver<Reply>>,
        report: watch::Receiver<Option<MemberReport>>,
    },
}

/// What comes in.
pub(super) enum Heard {
    /// A frame of the relay.
    Frame(Bytes),
    /// A member's message, without a frame around it.
    Message { session: u64, body: Vec<u8> },
    /// How a member is, likewise.
    Report(MemberReport),
    /// The last, in words.
    Closed(String),
}

impl Way {
    /// How long members hear nothing of a leader before they stand for election.
    pub(super) fn election_timeout(&self) -> Duration {
        match self {
            // Members in tabs have etcd's default.
            Self::Relay(_) => Duration::from_millis(Timing::default().election_ms),
            Self::Node(home) => home.election_timeout,
        }
    }

    /// A connection to a cluster; none when the process is ending.
    pub(super) async fn open(&self, cluster: &str) -> Option<Line> {
        match self {
            Self::Relay(relay) => {
                let link = relay.open(Guests::All).await.ok()?;
                let attach = Attach {
                    cluster: cluster.to_owned(),
                    build: String::new(),
                    who: Attachee::Console,
                };
                link.sender().send(Frame::Attach(attach).encode().into()).await.ok()?;
                Some(Line::Relay(link))
            }
            Self::Node(home) => Some(Line::Node {
                node: home.node.clone(),
                replies: home.replies.clone().lock_owned().await,
                report: home.node.report(),
            }),
        }
    }
}

impl Line {
    /// A member needs no attaching to.
    pub(super) fn is_attached(&self) -> bool {
        matches!(self, Self::Node { .. })
    }

    /// How the member here is, as far as it has said so.
    pub(super) fn report(&mut self) -> Option<MemberReport> {
        match self {
            Self::Relay(_) => None,
            Self::Node { report, .. } => report.borrow_and_update().clone(),
        }
    }

    /// What comes in next; none when the process is ending.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Relay(link) => Some(match link.next().await? {
                Outgoing::Frame(frame) => Heard::Frame(frame),
                Outgoing::Close { reason, .. } => Heard::Closed(reason),
            }),
            Self::Node { replies, report, .. } => tokio::select! {
                reply = replies.recv() => {
                    let (session, body) = reply?;
                    Some(Heard::Message { session, body })
                }
                changed = report.changed() => {
                    changed.ok()?;
                    report.borrow_and_update().clone().map(Heard::Report)
                }
            },
        }
    }

    /// Says something to a member.
    pub(super) async fn say(&self, session: u64, body: Vec<u8>) -> Result<(), Ended> {
        match self {
            Self::Relay(link) => {
                let frame = Frame::Client { session, body: &body }.encode();
                link.sender().send(Bytes::from(frame)).await
            }
            Self::Node { node, .. } => node.client(session, body).await,
        }
    }
}
