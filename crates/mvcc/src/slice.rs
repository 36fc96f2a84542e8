//! How much work is done at once.

/// Bytes of pairs that one slice looks at, about.
const BYTES: usize = 1024 * 1024;

/// What is left of a slice: work that may be large is done in slices, so that it stops nobody.
#[derive(Debug)]
pub struct Slice {
    keys: usize,
    bytes: usize,
}

impl Slice {
    /// One of up to so many keys, at least one, or a megabyte of pairs.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self { keys: keys.max(1), bytes: BYTES }
    }

    /// One that never ends.
    pub(crate) fn whole() -> Self {
        Self { keys: usize::MAX, bytes: usize::MAX }
    }

    /// Whether all of it is done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.keys == 0 || self.bytes == 0
    }

    /// Nothing more belongs in it.
    pub fn end(&mut self) {
        self.keys = 0;
    }

    /// So much was done that is as much work as so many keys.
    pub fn take_keys(&mut self, keys: usize) {
        self.keys = self.keys.saturating_sub(keys);
    }

    /// One key was looked at, found or not, and so many bytes of it.
    pub fn take(&mut self, bytes: usize) {
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
