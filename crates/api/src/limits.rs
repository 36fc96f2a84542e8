//! The size of everything that comes from outside. Each limit has a test at its edge where it
//! is enforced.

/// A request as etcd counts it (`--max-request-bytes`): 1.5 MiB.
pub const REQUEST_BYTES: usize = 1536 * 1024;

/// What a gRPC message may hold beyond [`REQUEST_BYTES`] before the transport refuses it.
pub const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;

/// Operations in one transaction, at the top level (`--max-txn-ops`).
pub const TXN_OPS: usize = 128;

/// Transactions inside of a transaction, counted downwards. Protobuf's readers allow about 50.
pub const TXN_DEPTH: usize = 64;

/// A frame between two processes. It holds the largest request with its overhead, or a batch
/// of raft messages, which [`RAFT_BATCH_BYTES`] keeps below.
pub const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of log entries in one raft append message. One entry may be larger: a request goes
/// whole.
pub const RAFT_BATCH_BYTES: usize = 1024 * 1024;

/// Append messages in flight to one peer before the leader waits for its answers.
pub const PEER_INFLIGHT_MESSAGES: usize = 64;

/// Rows of a snapshot in one frame, about. One row may be larger: it goes whole.
pub const SNAPSHOT_PIECE_BYTES: usize = 512 * 1024;

/// Writes that wait for their entry on one member.
pub const PROPOSALS_IN_FLIGHT: usize = 5000;

/// Linearizable reads that wait on one member.
pub const READS_IN_FLIGHT: usize = 20_000;

/// Watches of one session, and of one member in all.
pub const WATCHES_PER_SESSION: usize = 10_000;

/// Sessions of one member.
pub const SESSIONS: usize = 10_000;

/// Events in one watch response when it catches up with history.
pub const WATCH_BATCH_EVENTS: usize = 1000;

/// An answer to a client that crosses a link. What is larger must be read in parts.
pub const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The parts in which an answer crosses a link.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Bytes that wait to be written to one link, at either end of it. One that holds more reads too
/// slowly and is closed. Room for a few of the largest answers.
pub const LINK_QUEUE_BYTES: usize = 128 * 1024 * 1024;

/// Connections that a relay serves at once.
pub const RELAY_CONNECTIONS: usize = 4096;

/// Sessions of one console connection at a relay.
pub const CONSOLE_SESSIONS: usize = 4096;

/// Characters in a cluster's or a member's name.
pub const NAME_CHARS: usize = 64;

/// Members of one cluster.
pub const MEMBERS: usize = 9;

/// Boots whose nonces a directory remembers.
pub const BOOTS_KEPT: usize = 1024;
