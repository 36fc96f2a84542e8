//! The store and its watches against a model that is too simple to be wrong.

mod model;
mod requests;
mod store;
mod watch;
