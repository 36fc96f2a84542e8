//! Who a page comes from, and what that makes of it.

/// Who serves the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A hub: the members run in pages, this one hosts some.
    #[default]
    Hub,
    /// `kvorum server`: the members are servers, and the page is a console of their cluster.
    Server,
}

impl Source {
    /// Its name at the head of the page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hub => "Hub",
            Self::Server => "Server",
        }
    }

    /// Its name within a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Server => "server",
        }
    }
}
