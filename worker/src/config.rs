//! What a host says about a member, and what is drawn for this run.

use std::collections::BTreeMap;

use api::identity::Incarnation;
use node::{Config, Pace, Timing};
use wasm_bindgen::prelude::*;

/// A tab has less memory than a server.
const CACHE_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

#[wasm_bindgen]
extern "C" {
    /// The object that a host starts a member with.
    pub type Options;

    /// The cluster's name.
    #[wasm_bindgen(method, getter)]
    fn cluster(this: &Options) -> Option<String>;

    /// The member's name.
    #[wasm_bindgen(method, getter)]
    fn member(this: &Options) -> Option<String>;

    /// The names of all initial members.
    #[wasm_bindgen(method, getter)]
    fn members(this: &Options) -> Option<Vec<String>>;

    /// Tells clusters of the same name apart; may be left out.
    #[wasm_bindgen(method, getter)]
    fn token(this: &Options) -> Option<String>;

    /// The build of the page; may be left out.
    #[wasm_bindgen(method, getter)]
    fn build(this: &Options) -> Option<String>;

    /// Memory for the parts of the store that were read last; may be left out.
    #[wasm_bindgen(method, getter, js_name = cacheBytes)]
    fn cache(this: &Options) -> Option<f64>;

    /// Bytes of all versions of all keys beyond which writes are refused; may be left out.
    #[wasm_bindgen(method, getter, js_name = quotaBytes)]
    fn quota(this: &Options) -> Option<f64>;
}

impl Options {
    pub(crate) fn config(&self) -> Result<Config, String> {
        let needed = |what: &str| format!("the member's options have no {what}");
        let quota_bytes = self.quota().map_or(Pace::WORKER.quota_bytes, |bytes| bytes as u64);
        Ok(Config {
            cluster: self.cluster().ok_or_else(|| needed("cluster"))?,
            token: self.token().unwrap_or_default(),
            name: self.member().ok_or_else(|| needed("member"))?,
            initial: self.members().ok_or_else(|| needed("members"))?,
            learners: Vec::new(),
            incarnation: Incarnation(u128::from(random()?) << 64 | u128::from(random()?)),
            nonce: random()?,
            seed: random()?,
            build: self.build().unwrap_or_default(),
            urls: BTreeMap::new(),
            timing: Timing::default(),
            pace: Pace { quota_bytes, ..Pace::WORKER },
        })
    }

    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache().unwrap_or(CACHE_BYTES) as usize
    }
}

/// From the platform's own source.
pub(crate) fn random() -> Result<u64, String> {
    let mut bytes = [0; 8];
    getrandom::getrandom(&mut bytes)
        .map_err(|error| format!("this platform gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
