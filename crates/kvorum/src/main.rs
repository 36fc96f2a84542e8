//! Kvorum, natively.
fn main() {}
