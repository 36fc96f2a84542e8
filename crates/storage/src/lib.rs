//! The file interface and the log on files.
