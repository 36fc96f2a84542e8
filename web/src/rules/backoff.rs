//! Pauses that grow from try to try.

/// A first and a longest pause, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second try.
    pub first_ms: u32,
    /// Never longer than this.
    pub longest_ms: u32,
}

/// Between tries to reach the hub.
pub const HUB: Backoff = Backoff { first_ms: 50, longest_ms: 2500 };

/// Between starts of a Worker that crashed.
pub const WORKER: Backoff = Backoff { first_ms: 250, longest_ms: 10_000 };

impl Backoff {
    /// The pause after that many failures in a row (1 is the first).
    pub fn pause_ms(&self, failures: u32) -> u32 {
        let doublings = failures.saturating_sub(1).min(16);
        self.first_ms.saturating_mul(1 << doublings).min(self.longest_ms)
    }

    /// The same, spread over half of itself so that many who lost one hub do not come back at
    /// once. `random` is in `0.0..1.0`.
    pub fn jittered_ms(&self, failures: u32, random: f64) -> u32 {
        let pause = f64::from(self.pause_ms(failures));
        (pause * (0.5 + random / 2.0)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u32> = (1..8).map(|n| WORKER.pause_ms(n)).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000]);
        assert_eq!(HUB.pause_ms(u32::MAX), 2500);
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        assert_eq!(HUB.jittered_ms(1, 0.0), 25);
        assert!(HUB.jittered_ms(100, 0.999) <= 2500);
    }
}
