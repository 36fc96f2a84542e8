//! What the hub and the server have in common: sockets that listen, who may come in by them,
//! the page's files, and the order to stop.

pub(crate) mod listen;
pub(crate) mod origin;
pub(crate) mod site;
pub(crate) mod stop;
