//! The relay's whole boundary: what goes in and what comes out.

use std::collections::BTreeMap;

use api::Bytes;
use api::frame::CloseCode;
use api::identity::ClusterId;

/// What a relay is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The build of the pages that this relay belongs to. Pages of another one are sent to
    /// reload; empty lets every page in.
    pub build: String,
    /// The address of the page, as people type it; errors name it.
    pub page: String,
    /// Names that are bound already, as the host kept them.
    pub bindings: BTreeMap<String, ClusterId>,
}

/// Who may attach by a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    /// Members and consoles.
    All,
    /// Consoles: the member of this relay is at home with it, and others have links of their own.
    Consoles,
}

/// What happens to a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A connection is there. Its number is the host's own and is never used again.
    Opened {
        /// Its number.
        conn: u64,
        /// Who may come in by it.
        guests: Guests,
    },
    /// One frame came in, whole, as the other end sent it.
    Frame {
        /// From here.
        conn: u64,
        /// Unchecked.
        bytes: Bytes,
    },
    /// A connection is gone. Not needed after [`Output::Close`]; harmless there.
    Closed {
        /// Its number.
        conn: u64,
    },
    /// More than [`LINK_QUEUE_BYTES`](api::limits::LINK_QUEUE_BYTES) wait to be written to
    /// this connection. The queues are the host's, so the host counts. The relay answers with a
    /// [`Close`](Output::Close) and goes on as after `Closed`.
    Slow {
        /// Its number.
        conn: u64,
    },
    /// Much waits to be written to this connection. If it is a member's, no console adds to that
    /// before there is [`Room`](Self::Room): otherwise those who ask too much would make it
    /// `Slow`.
    Full {
        /// Its number.
        conn: u64,
    },
    /// Little waits again.
    Room {
        /// Its number.
        conn: u64,
    },
    /// Some time has passed since the last look, longer than a member takes to answer its peers. A
    /// member that takes part in its cluster and has said nothing since a peer spoke to it before
    /// that look is gone, though its connection is not: its page is frozen, or its computer sleeps.
    /// The relay answers with a [`Close`](Output::Close), as for `Slow`.
    Look,
    /// The [`SaveBinding`](Output::SaveBinding) of this name is durable.
    Saved {
        /// The cluster's name.
        name: String,
    },
    /// It could not be made durable; all is as it was before.
    NotSaved {
        /// The cluster's name.
        name: String,
        /// Why, in words.
        reason: String,
    },
}

/// What a relay wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an output that is not carried out is lost"]
pub enum Output {
    /// Write one frame to a connection.
    Send {
        /// To here.
        conn: u64,
        /// An encoded frame.
        frame: Bytes,
    },
    /// Close a connection, after what was sent to it. The relay has forgotten it already.
    Close {
        /// Its number.
        conn: u64,
        /// The WebSocket's close code.
        code: CloseCode,
        /// In words. A WebSocket's close frame takes 123 bytes, so cut it there; the `Refused`
        /// frame before it has them all.
        reason: String,
    },
    /// Keep this binding durably, or forget it, then say [`Saved`](Input::Saved). At most one
    /// of a name is under way.
    SaveBinding {
        /// The cluster's name.
        name: String,
        /// The cluster that owns it from now on.
        cluster: Option<ClusterId>,
    },
}
