//! A client session, sans-IO.
