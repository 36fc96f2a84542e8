//! What the hub and the server have in common.
//!
//! ```text
//!            ┌ listen ┐  ┌─── origin ───┐
//!  browser ──┤ sockets├──┤ Host, Origin ├──► site           the page's files
//!  console ──┤ that   │  │              ├──► upgrade ─► socket ◄─Link─► relay
//!  etcdctl ──┤ listen │  │              ├──► doors
//!            └────────┘  └──────────────┘
//! ```
//!
//! Until `stop` gives the order.

pub(crate) mod link;
pub(crate) mod listen;
pub(crate) mod origin;
pub(crate) mod queue;
pub(crate) mod relay;
pub(crate) mod site;
pub(crate) mod socket;
pub(crate) mod stop;
pub(crate) mod upgrade;
pub(crate) mod url;
