//! How something long goes.

/// The course of an export or an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// It was not asked for.
    #[default]
    Idle,
    /// It goes on; how far it is, in words.
    Busy(String),
    /// It is done, in words.
    Done(String),
    /// Why it failed, in words.
    Failed(String),
}

impl Course {
    /// It goes on.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    /// What is to be read while it goes well.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Busy(words) | Self::Done(words) => Some(words.clone()),
            Self::Idle | Self::Failed(_) => None,
        }
    }

    /// What went wrong.
    pub fn failed(&self) -> Option<String> {
        if let Self::Failed(why) = self { Some(why.clone()) } else { None }
    }
}
