//! The client's whole boundary: what goes in and what comes out.

use api::Error;
use api::session::Response;
use api::watch::WatchResponse;

/// A request of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A watch of this client. It outlives sessions and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(pub i64);

/// A raw watch stream of this client. It ends with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// How long a caller waits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the answer, in all.
    pub within: u64,
    /// Without a link, or with one behind which no member is: 0 fails at once.
    pub wait: u64,
}

/// What happens on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The link carries frames: the port is there, or the relay has said `Attached`.
    Up,
    /// The link is gone, with everything on it.
    Down {
        /// In words, for those whose request ends by it.
        reason: &'a str,
    },
    /// The host turns to another way. Whoever was asked by this one lives on, so what is open
    /// there is ended; after that it is as if the link was gone.
    Leave {
        /// In words, for those whose request ends by it.
        reason: &'a str,
    },
    /// A `Frame::Server` came in.
    Message {
        /// Its session.
        session: u64,
        /// Its body, unchecked.
        body: &'a [u8],
    },
    /// A `Frame::Piece` came in.
    Piece {
        /// Its session.
        session: u64,
        /// Whether it is the last of its answer.
        last: bool,
        /// Its bytes.
        body: &'a [u8],
    },
    /// The time that [`wake_at`](crate::Client::wake_at) named has come.
    Wake,
}

/// What a client wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an output that is not carried out is lost"]
pub enum Output {
    /// Send a `Frame::Client`. Only comes while the link is up, and after [`Input::Leave`] for
    /// the link that is left.
    Send {
        /// Its session.
        session: u64,
        /// Its body.
        body: Vec<u8>,
    },
    /// A call has ended. Each ends once, unless it was abandoned.
    Answer {
        /// The call.
        call: CallId,
        /// Its answer.
        result: Result<Response, Error>,
    },
    /// A watch was created (once), saw events or progress, or has ended (`canceled`, the last).
    Watch {
        /// The watch.
        watch: WatchId,
        /// Its `watch_id` is that of `watch`.
        response: WatchResponse,
    },
    /// A raw stream's answer as the member gave it; an error is the last and ends the stream.
    Stream {
        /// The stream.
        stream: StreamId,
        /// The answer.
        result: Result<WatchResponse, Error>,
    },
}
