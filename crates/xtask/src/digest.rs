//! Hashes that say whether something changed.

use sha2::{Digest as _, Sha256};

/// Collects named parts into one hash.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Adds one part. Lengths go in, too, so that parts cannot run together.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// The first 16 hexadecimal digits: enough to tell builds apart, short enough to read.
    pub(crate) fn hex(&self) -> String {
        self.0.clone().finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn parts_do_not_run_together() {
        let hex = |name: &str, bytes: &[u8]| Digest::default().add(name, bytes).hex();
        assert_ne!(hex("ab", b"c"), hex("a", b"bc"));
        assert_eq!(hex("a", b"b"), hex("a", b"b"));
        assert_eq!(hex("", b"").len(), 16);
    }
}
