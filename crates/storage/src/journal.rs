//! The log as a host feeds it: batches that find no room wait, and are tried again.

use std::collections::VecDeque;

use wal::Batch;

use crate::directory::Directory;
use crate::log::{Log, LogError};

/// A log, and the batches that wait for room. Nothing of a batch that waits is revealed: its
/// owner hears of no sync before it is written.
#[derive(Debug)]
pub struct Journal<D: Directory> {
    log: Log<D>,
    waiting: VecDeque<Batch>,
    told: Room,
}

/// How a log stands for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many bytes surely fit.
    pub bytes: u64,
    /// There is no more beyond what was kept in reserve.
    pub low: bool,
}

/// As long as the log can keep its reserve.
const PLENTY: Room = Room { bytes: u64::MAX, low: false };

impl<D: Directory> Journal<D> {
    /// Over an open log.
    #[must_use]
    pub fn new(log: Log<D>) -> Self {
        Self { log, waiting: VecDeque::new(), told: PLENTY }
    }

    /// Takes a batch, to be written now or when there is room.
    ///
    /// # Errors
    /// If the log fails. It is its last error.
    pub fn append(&mut self, batch: Batch) -> Result<(), LogError> {
        self.waiting.push_back(batch);
        self.write()
    }

    fn write(&mut self) -> Result<(), LogError> {
        while let Some(batch) = self.waiting.front() {
            match self.log.append(batch) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(LogError::NoSpace(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes all that could be written safe, and answers the number of the last safe batch.
    ///
    /// # Errors
    /// If the log fails. It is its last error.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.write()?;
        self.log.look_for_room()?;
        self.log.sync()
    }

    /// Whether there is too little room: [`Self::sync`] is to be called again in a while, if
    /// there is nothing to sync, too. A node that is told of little room may append nothing any
    /// more, and hears only by that when there is room again.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty() || self.log.is_low()
    }

    /// How the log stands for room, if that is news.
    pub fn room(&mut self) -> Option<Room> {
        let room = match (self.waiting.is_empty(), self.log.is_low()) {
            (false, _) => Room { bytes: 0, low: true },
            (true, true) => Room { bytes: self.log.room(), low: true },
            (true, false) => PLENTY,
        };
        let news = room != self.told;
        self.told = room;
        news.then_some(room)
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log<D> {
        &self.log
    }
}
