//! The error catalogue: etcd's own errors with their gRPC code and text, and the few that only
//! Kvorum has.
//!
//! Codes and texts: etcd `api/v3rpc/rpctypes/error.go`, listed in etcd's v3.7 API.

use serde::{Deserialize, Serialize};

/// The result of anything that etcd's API can refuse.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// gRPC status codes, by their number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The caller gave up.
    Canceled = 1,
    /// Anything without a better code.
    Unknown = 2,
    /// The request can never succeed as it is.
    InvalidArgument = 3,
    /// The deadline passed.
    DeadlineExceeded = 4,
    /// What the request names does not exist.
    NotFound = 5,
    /// Not allowed.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The state of the cluster forbids it now.
    FailedPrecondition = 9,
    /// A revision outside of what is kept.
    OutOfRange = 11,
    /// Not in this version.
    Unimplemented = 12,
    /// A broken invariant.
    Internal = 13,
    /// Try again, perhaps elsewhere.
    Unavailable = 14,
    /// Data is damaged.
    DataLoss = 15,
    /// Not logged in.
    Unauthenticated = 16,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident => $code:ident, $text:literal;)*) => {
        /// One error, as a client of etcd sees it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Error {
            $($(#[$doc])* $name,)*
            /// No member can take the request now; the text says why and what to do.
            Unavailable(String),
            /// A request that is wrong in a way that etcd has no error for.
            Invalid(String),
            /// Not in this version of Kvorum; the text names what.
            Unimplemented(String),
            /// What this member has stored cannot be read any more; the text says what. No answer
            /// of the cluster's: other members may be well.
            Damaged(String),
        }

        impl Error {
            /// The gRPC code that travels with the error.
            pub fn code(&self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)*
                    Self::Unavailable(_) => Code::Unavailable,
                    Self::Invalid(_) => Code::InvalidArgument,
                    Self::Unimplemented(_) => Code::Unimplemented,
                    Self::Damaged(_) => Code::DataLoss,
                }
            }

            /// The text that a client shows, letter for letter etcd's where etcd has one.
            pub fn text(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unavailable(text)
                    | Self::Invalid(text)
                    | Self::Unimplemented(text)
                    | Self::Damaged(text) => text,
                }
            }
        }
    };
}

catalogue! {
    /// A request without a key.
    EmptyKey => InvalidArgument, "etcdserver: key is not provided";
    /// `ignore_value` or `ignore_lease` on a key that is not there; also an empty operation.
    KeyNotFound => InvalidArgument, "etcdserver: key not found";
    /// `ignore_value` together with a value.
    ValueProvided => InvalidArgument, "etcdserver: value is provided";
    /// `ignore_lease` together with a lease.
    LeaseProvided => InvalidArgument, "etcdserver: lease is provided";
    /// More operations than [`TXN_OPS`](crate::limits::TXN_OPS).
    TooManyOps => InvalidArgument, "etcdserver: too many operations in txn request";
    /// Two writes to one key in one transaction.
    DuplicateKey => InvalidArgument, "etcdserver: duplicate key given in txn request";
    /// A sort order or target that does not exist.
    InvalidSortOption => InvalidArgument, "etcdserver: invalid sort option";
    /// A revision below the compacted one.
    Compacted => OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    /// A revision that is not there yet.
    FutureRev => OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    /// The quota is reached.
    NoSpace => ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    /// A lease that does not exist.
    LeaseNotFound => NotFound, "etcdserver: requested lease not found";
    /// More than [`REQUEST_BYTES`](crate::limits::REQUEST_BYTES).
    RequestTooLarge => InvalidArgument, "etcdserver: request is too large";
    /// The member is behind with its work.
    TooManyRequests => ResourceExhausted, "etcdserver: too many requests";
    /// A member that does not exist.
    MemberNotFound => NotFound, "etcdserver: member not found";
    /// The cluster has no leader.
    NoLeader => Unavailable, "etcdserver: no leader";
    /// Asked of a member that does not lead.
    NotLeader => FailedPrecondition, "etcdserver: not leader";
    /// The leader changed while a read waited.
    LeaderChanged => Unavailable, "etcdserver: leader changed";
    /// This member stops.
    Stopped => Unavailable, "etcdserver: server stopped";
    /// No answer within the time that etcd allows; a write may or may not have happened.
    Timeout => Unavailable, "etcdserver: request timed out";
    /// As `Timeout`, when the leader was lost meanwhile.
    TimeoutLeaderFail => Unavailable,
        "etcdserver: request timed out, possibly due to previous leader failure";
    /// As `Timeout`, when too few members are connected.
    TimeoutConnectionLost => Unavailable,
        "etcdserver: request timed out, possibly due to connection lost";
    /// The data of this cluster is damaged.
    Corrupt => DataLoss, "etcdserver: corrupt cluster";
    /// The caller gave up.
    Canceled => Canceled, "etcdserver: request canceled";
    /// A watch on a range that holds nothing.
    WatchEmptyRange => InvalidArgument, "mvcc: watcher range is empty";
    /// A watch id that its stream uses already.
    WatchDuplicateId => InvalidArgument, "mvcc: duplicate watch ID provided on the WatchStream";
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Error {}
