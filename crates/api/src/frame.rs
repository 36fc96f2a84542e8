//! Frames: what travels between processes, the same on every link.
//!
//! ```text
//!  byte 0        1 ..
//! ┌─────────┬──────────────────────────────────────────────┐
//! │ version │ Frame, in postcard                           │
//! └─────────┴──────────────────────────────────────────────┘
//!
//!  tab                    hub                       tab
//!  member ──Attach──►  relay  ◄──Attach── member / console
//!         ◄─Attached─         ──Present──►          who is here, kept up to date
//!         ◄─Present──         ──Gone─────►
//!         ──Peer───────────────────────────►        routed by its `Route`, body unread
//!         ──Report─►          ──Report───►          to consoles
//!         ◄─Client── session ◄──Client──── console  routed by session, body unread
//!         ──Server──────────►─Server──────►             (a large one in Pieces)
//! ```
//!
//! The relay reads `Route` and `session` and never a body. Bodies: [`PeerBody`] in
//! [`Frame::Peer`], [`ClientMessage`](crate::session::ClientMessage) in [`Frame::Client`],
//! [`ServerMessage`](crate::session::ServerMessage) in [`Frame::Server`], each in postcard.

use serde::{Deserialize, Serialize};

use crate::identity::{Boot, ClusterId, Formation, Incarnation, RaftId};
use crate::limits;
use crate::report::MemberReport;

/// Raised whenever a frame's meaning changes. Ends that differ do not talk.
pub const VERSION: u8 = 3;

/// One frame. Bodies are borrowed: what is only passed on is not copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// First frame on a link to a relay. Sent again by a member when its cluster has formed.
    Attach(Attach),
    /// The relay's answer.
    Attached(Attached),
    /// A member is in the room; follows `Attached` for each that is, itself left out.
    Present(Presence),
    /// A member's socket is gone and no newer one has replaced it.
    Gone(Presence),
    /// A member's view of itself, for the consoles of its cluster.
    Report(MemberReport),
    /// From member to member.
    Peer {
        /// Who speaks to whom.
        route: Route,
        /// A [`PeerBody`].
        #[serde(borrow)]
        body: &'a [u8],
    },
    /// From a client to the member that serves its session.
    Client {
        /// The session, by the number that this link's client chose for it.
        session: u64,
        /// A [`ClientMessage`](crate::session::ClientMessage).
        body: &'a [u8],
    },
    /// From a member to a client.
    Server {
        /// As in `Client`.
        session: u64,
        /// A [`ServerMessage`](crate::session::ServerMessage).
        body: &'a [u8],
    },
    /// From a console: give this cluster's name to a new cluster. `hosted` are the members that
    /// the asking page runs and will end; any other member that is connected forbids it.
    Rebind {
        /// Members of the asking page.
        hosted: Vec<(String, Boot)>,
    },
    /// The answer to `Rebind`: done, or why not.
    Rebound(Result<(), String>),
    /// The link is refused and about to close.
    Refused {
        /// Why; also the WebSocket's close code.
        code: CloseCode,
        /// In words.
        reason: String,
    },
    /// A part of a `Server` body that is too large for one frame, in order, nothing of the same
    /// session in between.
    Piece {
        /// As in `Client`.
        session: u64,
        /// The body is complete with this one.
        last: bool,
        /// The next bytes of the body.
        body: &'a [u8],
    },
}

/// Who attaches to a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The cluster's name: the room.
    pub cluster: String,
    /// The build of the page that attaches; empty for anything that is not a page.
    pub build: String,
    /// What attaches.
    pub who: Attachee,
}

/// What attaches to a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attachee {
    /// A member.
    Member(Presence),
    /// A client that wants sessions, presence and reports.
    Console,
}

/// A member in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub incarnation: Incarnation,
    /// This run of it.
    pub boot: Boot,
    /// Its cluster and raft id, once formed.
    pub formed: Option<(ClusterId, RaftId)>,
}

/// The relay lets a link in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The cluster that owns the room's name, if one has formed under it.
    pub bound: Option<ClusterId>,
}

/// Who speaks to whom. Names only for hellos and what belongs to them: before its first hello a
/// member knows of a peer no more than its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// By name.
    Names {
        /// The sender.
        from: String,
        /// The receiver.
        to: String,
    },
    /// Between two runs that have greeted each other.
    Members {
        /// Their cluster.
        cluster: ClusterId,
        /// The sender.
        from: RaftId,
        /// Its run.
        from_boot: Boot,
        /// The receiver.
        to: RaftId,
        /// Its run.
        to_boot: Boot,
        /// Counts the frames of this pair of runs in this direction, from 1. Each is accepted
        /// once.
        counter: u64,
    },
}

/// What members say to each other. Relays do not look inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerBody<'a> {
    /// See [`Hello`]. Routed by names.
    Hello(Hello),
    /// The list that forms the cluster. Routed by names.
    Formation(Formation),
    /// The receiver is not the member that it takes itself for; in words. Routed by names.
    Refused {
        /// The directory that is refused.
        incarnation: Incarnation,
        /// The run that is refused.
        boot: Boot,
        /// What happened and what can be done.
        reason: String,
    },
    /// Messages of raft, each in raft's own protobuf. Routed by members.
    #[serde(borrow)]
    Raft(Vec<&'a [u8]>),
    /// Writes for the leader to propose, if it still leads in `term`. Routed by members.
    Forward {
        /// The term in which the sender believes the receiver to lead.
        term: u64,
        /// The commands, each in the node's own form.
        commands: Vec<&'a [u8]>,
    },
    /// The receiver's log is too far behind to be caught up: here is a snapshot of the store, to be
    /// asked for in pieces. Routed by members, as all that follows.
    ///
    /// ```text
    ///  leader                                   follower
    ///  ├──Offer{id, raft's message}──────────────►│  again, until it asks
    ///  │◄─Ask{id, from: 0.0}──────────────────────┤
    ///  ├──Piece{id, from 0.0, next 7.0, rows}────►│  into a new generation
    ///  │◄─Ask{id, from: 7.0}──────────────────────┤  again, if nothing comes
    ///  ├──Piece{id, from 7.0, rows, summary}─────►│  the last: checked, then raft hears of it
    /// ```
    Offer {
        /// Names the snapshot.
        id: u64,
        /// raft's own message, without data.
        message: &'a [u8],
    },
    /// Asks for the piece of a snapshot that begins at a place.
    Ask {
        /// The snapshot.
        id: u64,
        /// Main and sub revision.
        from: (i64, u32),
    },
    /// A piece of a snapshot.
    Piece {
        /// The snapshot.
        id: u64,
        /// Where it begins.
        from: (i64, u32),
        /// Where the next one begins; nothing of the last.
        next: Option<(i64, u32)>,
        /// The rows, in the store's own form.
        rows: &'a [u8],
        /// Of the last: the summary of all.
        summary: &'a [u8],
    },
    /// A write that was forwarded is in no log, and will not be: there is no room for it. Routed by
    /// members.
    NoRoom {
        /// The term in which it was forwarded.
        term: u64,
        /// Of the run that forwarded it.
        nonce: u64,
        /// The write.
        sequence: u64,
    },
    /// The sender's log has no more room than this, or plenty again: a leader takes no write for
    /// which there is none where it has to go. Routed by members, and said again while it is so.
    Room {
        /// Bytes that surely fit.
        bytes: u64,
    },
}

/// Opens a link between two members, in both directions; each answers the other's challenge, so
/// a late or copied hello counts for nothing.
///
/// ```text
///  A                                        B
///  │ Hello{challenge a}                     │
///  ├───────────────────────────────────────►│
///  │      Hello{challenge b, answer a+proof}│
///  │◄───────────────────────────────────────┤
///  │ A knows B (and syncs that it does)     │
///  │ Hello{answer b+proof, accepted}        │
///  ├───────────────────────────────────────►│ B knows A
///  │                       Hello{accepted}  │
///  │◄───────────────────────────────────────┤
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster's name, for members that have not formed.
    pub cluster_name: String,
    /// The token, likewise.
    pub token: String,
    /// Who speaks.
    pub me: Presence,
    /// The run that is meant, if the sender knows one: an original and its copy share a name.
    pub to: Option<Boot>,
    /// Where clients reach the sender, for the list of members; empty in a tab.
    pub client_urls: Vec<String>,
    /// The sender's last log index. A directory that was rolled back gives itself away by it.
    pub last_index: u64,
    /// To be answered.
    pub challenge: u64,
    /// The counter of the highest boot that the sender has seen of the receiver, or 0. The
    /// answer's proof is the nonce of this boot.
    pub seen_counter: u64,
    /// The answer to the receiver's last challenge.
    pub answer: Option<Answer>,
    /// The sender has accepted this run of the receiver.
    pub accepted: Option<Boot>,
    /// The sender knows that the receiver has accepted it: this hello needs no answer.
    pub sure: bool,
}

/// Shows that the hello is fresh and that the directory lived through what the asker has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The challenge that is answered.
    pub challenge: u64,
    /// The nonce of the asked boot; 0 if the directory has none (or was asked for none).
    pub proof: u64,
}

/// Why a link is closed. The numbers are WebSocket close codes of the private range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u16)]
pub enum CloseCode {
    /// A frame could not be read, or came where it may not.
    Malformed = 4001,
    /// A frame is larger than [`limits::FRAME_BYTES`].
    TooLarge = 4002,
    /// The name belongs to another cluster.
    Foreign = 4003,
    /// The member's name is taken by another directory.
    NameTaken = 4004,
    /// The page is of another build than the hub.
    Reload = 4005,
    /// A newer socket of the same run has replaced this one.
    Replaced = 4006,
    /// The name was given to a new cluster.
    Rebound = 4007,
    /// The connection reads too slowly.
    Slow = 4008,
    /// The relay has all the connections that it can serve.
    Full = 4009,
    /// The relay cannot keep the binding of the name.
    Unsaved = 4010,
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too large.
    #[error("frame of {0} bytes; the limit is {max}", max = limits::FRAME_BYTES)]
    TooLarge(usize),
    /// Of another version.
    #[error("frame of version {0}; this build speaks version {VERSION}")]
    Version(u8),
    /// Not a frame.
    #[error("frame cannot be read: {0}")]
    Malformed(String),
}

impl FrameError {
    /// The code to close the link with.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLarge(_) => CloseCode::TooLarge,
            Self::Version(_) => CloseCode::Reload,
            Self::Malformed(_) => CloseCode::Malformed,
        }
    }
}

impl<'a> Frame<'a> {
    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_after(vec![VERSION], self)
    }

    /// Reads a frame; bodies borrow from `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        if bytes.len() > limits::FRAME_BYTES {
            return Err(FrameError::TooLarge(bytes.len()));
        }
        match bytes.split_first() {
            None => Err(FrameError::Malformed("it is empty".into())),
            Some((&VERSION, rest)) => decode_whole(rest),
            Some((&version, _)) => Err(FrameError::Version(version)),
        }
    }
}

/// The bytes of a frame's body.
pub fn encode_body<T: Serialize>(body: &T) -> Vec<u8> {
    encode_after(Vec::new(), body)
}

/// Reads a frame's body. Bytes left over are an error.
pub fn decode_body<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    decode_whole(bytes)
}

fn encode_after<T: Serialize>(start: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, start).expect("plain data of known lengths always encodes")
}

fn decode_whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(FrameError::Malformed(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(FrameError::Malformed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence() -> Presence {
        Presence {
            name: "1".into(),
            incarnation: Incarnation(7),
            boot: Boot { counter: 1, nonce: 9 },
            formed: None,
        }
    }

    #[test]
    fn frames_come_back_as_they_went() {
        let frame = Frame::Peer {
            route: Route::Names { from: "1".into(), to: "2".into() },
            body: b"opaque",
        };
        let bytes = frame.encode();
        assert_eq!(Frame::decode(&bytes), Ok(frame));
    }

    #[test]
    fn a_frame_has_these_bytes() {
        let attach = Frame::Attach(Attach {
            cluster: "default".into(),
            build: String::new(),
            who: Attachee::Member(presence()),
        });
        let golden = [3, 0, 7, b'd', b'e', b'f', b'a', b'u', b'l', b't', 0, 0, 1, b'1', 7, 1, 9, 0];
        assert_eq!(attach.encode(), golden);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::decode(&[]).unwrap_err().close_code(), CloseCode::Malformed);
        assert_eq!(Frame::decode(&[9, 1]).unwrap_err(), FrameError::Version(9));
        let mut long = Frame::Rebound(Ok(())).encode();
        long.push(0);
        assert_eq!(Frame::decode(&long).unwrap_err().close_code(), CloseCode::Malformed);
        let large = vec![VERSION; limits::FRAME_BYTES + 1];
        assert_eq!(Frame::decode(&large).unwrap_err().close_code(), CloseCode::TooLarge);
        let edge = vec![VERSION; limits::FRAME_BYTES];
        assert_ne!(Frame::decode(&edge).unwrap_err().close_code(), CloseCode::TooLarge);
    }
}
