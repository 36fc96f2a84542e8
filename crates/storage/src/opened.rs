//! A member's directory, opened: its log, and the store that its log names.

use mvcc::base::SharedBase;
use thiserror::Error;
use wal::Recovered;

use crate::directory::Directory;
use crate::file::FileError;
use crate::journal::Journal;
use crate::keeper::{Keeper, KeeperOptions};
use crate::log::{Log, LogError, LogOptions};

/// A member's directory, open.
pub struct Opened<D: Directory> {
    /// The log, to be written.
    pub journal: Journal<D>,
    /// Who keeps the store.
    pub keeper: Keeper<D>,
    /// What the log holds.
    pub recovered: Recovered,
    /// The store below memory, if there is one yet.
    pub base: Option<SharedBase>,
}

/// Why a directory cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store.
    #[error(transparent)]
    Store(#[from] FileError),
    /// What the log says of the store.
    #[error("{0}")]
    Named(String),
}

impl<D> Opened<D>
where
    D: Directory + Clone,
    D::File: Send + Sync + 'static,
{
    /// Opens a directory, which may be empty. `names` tells which generation of the store the
    /// log names.
    ///
    /// # Errors
    /// If a file fails, or is not what it has to be.
    pub fn open<E: ToString>(
        directory: D,
        log: LogOptions,
        keeper: KeeperOptions,
        names: impl FnOnce(&Recovered) -> Result<Option<u64>, E>,
    ) -> Result<Self, OpenError> {
        let (log, recovered) = Log::open(directory.clone(), log)?;
        let generation = names(&recovered).map_err(|error| OpenError::Named(error.to_string()))?;
        let (keeper, base) = Keeper::open(directory, keeper, generation)?;
        Ok(Self { journal: Journal::new(log), keeper, recovered, base })
    }
}
