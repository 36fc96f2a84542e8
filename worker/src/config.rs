//! What a host says about a member, and what is drawn for this run.

use api::identity::Incarnation;
use node::{Config, Timing};
use serde::Deserialize;

/// The object that a host starts a member with.
#[derive(Deserialize)]
pub(crate) struct Options {
    /// The cluster's name.
    cluster: String,
    /// The member's name.
    member: String,
    /// The names of all initial members.
    members: Vec<String>,
    /// Tells clusters of the same name apart.
    #[serde(default)]
    token: String,
    /// The build of the page.
    #[serde(default)]
    build: String,
}

impl Options {
    pub(crate) fn config(&self) -> Result<Config, String> {
        Ok(Config {
            cluster: self.cluster.clone(),
            token: self.token.clone(),
            name: self.member.clone(),
            initial: self.members.clone(),
            learners: Vec::new(),
            incarnation: Incarnation(u128::from(random()?) << 64 | u128::from(random()?)),
            nonce: random()?,
            seed: random()?,
            build: self.build.clone(),
            urls: Default::default(),
            timing: Timing::default(),
        })
    }
}

/// From the platform's own source.
pub(crate) fn random() -> Result<u64, String> {
    let mut bytes = [0; 8];
    getrandom::getrandom(&mut bytes)
        .map_err(|error| format!("this platform gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
