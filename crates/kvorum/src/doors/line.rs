//! How a console reaches members: through a relay, or straight to the node of this process.

use std::sync::Arc;

use api::Bytes;
use api::frame::{Attach, Attachee, Frame};
use relay::Guests;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

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
}

/// One console's connection.
pub(super) enum Line {
    Relay(RelayLink),
    Node { node: NodeHandle, replies: OwnedMutexGuard<mpsc::UnboundedReceiver<Reply>> },
}

/// What comes in.
pub(super) enum Heard {
    /// A frame of the relay.
    Frame(Bytes),
    /// A member's message, without a frame around it.
    Message { session: u64, body: Vec<u8> },
    /// The last, in words.
    Closed(String),
}

impl Way {
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
            }),
        }
    }
}

impl Line {
    /// A member needs no attaching to.
    pub(super) fn is_attached(&self) -> bool {
        matches!(self, Self::Node { .. })
    }

    /// What comes in next; none when the process is ending.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Relay(link) => Some(match link.next().await? {
                Outgoing::Frame(frame) => Heard::Frame(frame),
                Outgoing::Close { reason, .. } => Heard::Closed(reason),
            }),
            Self::Node { replies, .. } => {
                let (session, body) = replies.recv().await?;
                Some(Heard::Message { session, body })
            }
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
