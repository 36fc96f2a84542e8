//! Accepts each counter once: a frame that a link doubled or delivered late costs nothing.
//!
//! ```text
//!   highest - 1023                           highest
//!        │◄─────────── seen, one bit each ──────►│
//!  older: dropped                                 newer: accepted, the window moves
//! ```

use crate::broken::{Broken, is};

/// Counters of one direction between two runs. The sliding window of RFC 4303, 3.4.3.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// The highest counter accepted; 0 before the first. Counters start at 1.
    highest: u64,
    /// Bit `c % SIZE`: whether counter `c` was accepted. Invariant: valid for
    /// `highest - SIZE < c <= highest` only.
    seen: [u64; WORDS],
}

const WORDS: usize = 16;
const SIZE: u64 = WORDS as u64 * 64;

impl Window {
    /// True the first time that a counter comes, unless it is too old to tell.
    pub(crate) fn accept(&mut self, counter: u64) -> bool {
        if counter == 0 || counter.saturating_add(SIZE) <= self.highest {
            return false;
        }
        if counter > self.highest {
            self.move_to(counter);
        }
        let (word, bit) = Self::place(counter);
        let fresh = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        fresh || is(Broken::WindowOpen)
    }

    fn move_to(&mut self, counter: u64) {
        if counter - self.highest >= SIZE {
            self.seen = [0; WORDS];
        } else {
            for skipped in self.highest + 1..=counter {
                let (word, bit) = Self::place(skipped);
                self.seen[word] &= !bit;
            }
        }
        self.highest = counter;
    }

    fn place(counter: u64) -> (usize, u64) {
        let at = counter % SIZE;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_accepted_once() {
        let mut window = Window::default();
        assert!(!window.accept(0));
        for counter in [1, 3, 2, 700, 5, 1500] {
            assert!(window.accept(counter), "{counter}");
            assert!(!window.accept(counter), "{counter} again");
        }
        assert!(!window.accept(1500 - SIZE), "at the edge: too old");
        assert!(window.accept(1500 - SIZE + 1), "just inside");
        assert!(window.accept(u64::MAX));
        assert!(!window.accept(4));
    }

    #[test]
    fn moving_by_a_whole_turn_forgets() {
        let mut window = Window::default();
        assert!(window.accept(7));
        assert!(window.accept(7 + SIZE));
        assert!(window.accept(6 + SIZE));
    }
}
