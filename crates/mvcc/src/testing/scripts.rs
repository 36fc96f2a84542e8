//! The golden scripts by name, built in: a wasm test has no files.

macro_rules! scripts {
    ($($name:literal),* $(,)?) => {
        /// Every golden script: its name, and its text with the output that it must have.
        pub const SCRIPTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../tests/scripts/", $name, ".txt")))),*];
    };
}

scripts![
    "base_layers",
    "base_scrub",
    "compact_bounds",
    "compact_history",
    "compact_keeps",
    "delete_range",
    "hash",
    "put_options",
    "range_filters",
    "range_keys",
    "range_keys_only",
    "range_limit",
    "range_revision",
    "range_sort",
    "request_size",
    "revisions_basic",
    "revisions_lives",
    "revisions_sub",
    "revisions_unchanged",
    "txn_apply",
    "txn_compare",
    "txn_duplicates",
    "txn_limits",
    "txn_nested",
    "txn_refused",
    "watch_compacted",
    "watch_fragment",
    "watch_held",
    "watch_history",
    "watch_ids",
    "watch_live",
    "watch_options",
    "watch_progress",
    "watch_refused",
    "watch_slices",
    "watch_turns",
];
