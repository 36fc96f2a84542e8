//! Something that may be done often, but not too often.

/// At most once in so many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    every: u64,
    last: Option<u64>,
}

impl Pace {
    /// The first time is at once.
    pub fn new(every: u64) -> Self {
        Self { every, last: None }
    }

    /// How long to wait before the next time; 0 if it is now.
    pub fn wait(&self, now: u64) -> u64 {
        self.last.map_or(0, |last| (last + self.every).saturating_sub(now))
    }

    /// It is done now.
    pub fn done(&mut self, now: u64) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_at_once_and_the_next_one_after_a_pause() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(5), 0);
        pace.done(5);
        assert_eq!((pace.wait(5), pace.wait(65), pace.wait(105), pace.wait(900)), (100, 40, 0, 0));
    }
}
