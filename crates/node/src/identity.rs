//! Who this member is, and what it knows of its peers' identities: the slots of the log that
//! are not raft's, and the checks against wiped, copied and rolled-back directories.

use litemap::LiteMap;

use api::frame::{Presence, decode_body, encode_body};
use api::identity::{Boot, ClusterId, Formation, Incarnation, RaftId};
use api::limits;
use bytes::Bytes;
use raft::eraftpb::{Entry, HardState};
use raft_prost::Message as _;
use serde::{Deserialize, Serialize};
use wal::Record;

use crate::broken::{Broken, is};
use crate::config::{Config, StartError};
use crate::log::Place;
use crate::raft_node::RaftStart;
use crate::slot;

/// Slot 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Names {
    cluster: String,
    token: String,
    name: String,
    incarnation: Incarnation,
    formation: Option<Formation>,
}

/// Slot 2. The run with counter `first + i` had `nonces[i]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Boots {
    /// Invariant: at least 1. Old runs are forgotten beyond [`limits::BOOTS_KEPT`].
    first: u64,
    nonces: Vec<u64>,
}

/// What is remembered of a peer, to notice when its directory is not what it was.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sighting {
    /// The highest run that it greeted with; its counter is 0 before the first.
    pub(crate) boot: Boot,
    /// The last index that it acknowledged and that is committed.
    pub(crate) acknowledged: u64,
}

/// Slot 5. The switch from one generation to the next, and from one beginning of the log to a later
/// one, is this record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The current generation.
    pub(crate) generation: u64,
    /// The last entry that the log does not hold any more. The generation holds all up to there.
    pub(crate) anchor: (u64, u64),
}

/// This directory's identity in this run.
pub(crate) struct Identity {
    names: Names,
    /// Invariant: what `names` make of it. Asked at each turn, and two hashes each time.
    formed: Option<(ClusterId, RaftId)>,
    boots: Boots,
    sightings: LiteMap<String, Sighting>,
}

impl Identity {
    /// Reads the directory, or begins a new one, and counts this run.
    pub(crate) fn open(
        config: &Config,
        slots: &LiteMap<u8, Bytes>,
    ) -> Result<(Self, Vec<Record>), StartError> {
        let names = match read(slots, slot::IDENTITY)? {
            Some(names) => names,
            None if slots.is_empty() => Names {
                cluster: config.cluster.clone(),
                token: config.token.clone(),
                name: config.name.clone(),
                incarnation: config.incarnation,
                formation: None,
            },
            None => return Err(StartError::Corrupt("it has no identity".into())),
        };
        check_names(config, &names)?;
        let mut boots: Boots = read(slots, slot::BOOTS)?.unwrap_or_default();
        boots.add(config.nonce);
        let sightings = read(slots, slot::SIGHTINGS)?.unwrap_or_default();
        let identity = Self { formed: names.formed(), names, boots, sightings };
        let records = vec![
            slot::record(slot::IDENTITY, encode_body(&identity.names)),
            slot::record(slot::BOOTS, encode_body(&identity.boots)),
        ];
        Ok((identity, records))
    }

    pub(crate) fn name(&self) -> &str {
        &self.names.name
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.names.incarnation
    }

    pub(crate) fn formation(&self) -> Option<&Formation> {
        self.names.formation.as_ref()
    }

    /// The cluster and this member's id in it, once formed.
    pub(crate) fn formed(&self) -> Option<(ClusterId, RaftId)> {
        self.formed
    }

    /// This run.
    pub(crate) fn boot(&self) -> Boot {
        self.boots.last()
    }

    /// The nonce of one of this directory's runs, or 0 if it had no such run.
    pub(crate) fn nonce_of(&self, counter: u64) -> u64 {
        self.boots.nonce(counter)
    }

    /// How this member shows itself to a relay and to its peers.
    pub(crate) fn presence(&self) -> Presence {
        Presence {
            name: self.names.name.clone(),
            incarnation: self.names.incarnation,
            boot: self.boot(),
            formed: self.formed(),
        }
    }

    /// Takes the list that forms the cluster. Never called twice.
    pub(crate) fn form(&mut self, formation: Formation) -> Record {
        debug_assert!(self.names.formation.is_none(), "a cluster forms once");
        self.names.formation = Some(formation);
        self.formed = self.names.formed();
        slot::record(slot::IDENTITY, encode_body(&self.names))
    }

    pub(crate) fn sighting(&self, peer: &str) -> Sighting {
        if is(Broken::SightingForgotten) || is(Broken::WipedVotes) {
            return Sighting::default();
        }
        self.sightings.get(peer).copied().unwrap_or_default()
    }

    /// Remembers a peer's run; to be synced before it is acted on.
    pub(crate) fn sight(&mut self, peer: &str, boot: Boot) -> Record {
        self.sightings.entry(peer.to_string()).or_default().boot = boot;
        slot::record(slot::SIGHTINGS, encode_body(&self.sightings))
    }

    /// Remembers what a peer acknowledged. Goes to the log with the next sighting: the check
    /// that it serves is a net below raft's own, not a promise.
    pub(crate) fn acknowledge(&mut self, peer: &str, index: u64) {
        let sighting = self.sightings.entry(peer.to_string()).or_default();
        sighting.acknowledged = sighting.acknowledged.max(index);
    }
}

impl Names {
    fn formed(&self) -> Option<(ClusterId, RaftId)> {
        let formation = self.formation.as_ref()?;
        let me = formation.member(&self.name)?;
        Some((formation.cluster_id(), formation.raft_id(me)))
    }
}

impl Boots {
    fn add(&mut self, nonce: u64) {
        self.first = self.first.max(1);
        self.nonces.push(nonce);
        if self.nonces.len() > limits::BOOTS_KEPT {
            self.nonces.remove(0);
            self.first += 1;
        }
    }

    fn last(&self) -> Boot {
        let nonce = self.nonces.last().copied().unwrap_or_default();
        Boot { counter: self.first + self.nonces.len() as u64 - 1, nonce }
    }

    fn nonce(&self, counter: u64) -> u64 {
        let at = counter.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.nonces.get(at)).copied().unwrap_or(0)
    }
}

/// Which generation of the store the log names, and where the log begins.
pub(crate) fn stored(slots: &LiteMap<u8, Bytes>) -> Result<Option<Stored>, StartError> {
    read(slots, slot::STORED)
}

/// The generation of the store that a host has to open, if there is one.
///
/// # Errors
/// If the log cannot be right.
pub fn generation(recovered: &wal::Recovered) -> Result<Option<u64>, StartError> {
    Ok(stored(&recovered.slots)?.map(|stored| stored.generation))
}

/// raft's part of the log, over a base that holds what was applied up to an index.
pub(crate) fn raft_start(
    recovered: &wal::Recovered,
    applied: u64,
) -> Result<RaftStart, StartError> {
    let corrupt = |text: String| StartError::Corrupt(text);
    let hard_state = match recovered.slots.get(&slot::HARD_STATE) {
        Some(bytes) => HardState::decode(bytes.as_ref())
            .map_err(|error| corrupt(format!("its hard state cannot be read: {error}")))?,
        None => HardState::default(),
    };
    let stored = stored(&recovered.slots)?;
    let (index, term) = stored.map_or((0, 0), |stored| stored.anchor);
    if applied < index {
        return Err(corrupt(format!(
            "it begins behind entry {index}, and the store holds entries up to {applied} only"
        )));
    }
    let mut entries = Vec::with_capacity(recovered.entries.len());
    for (at, payload) in recovered.entries.iter().filter(|(at, _)| *at > index) {
        let entry = Entry::decode(payload.as_ref())
            .map_err(|error| corrupt(format!("entry {at} cannot be read: {error}")))?;
        let expected = index + 1 + entries.len() as u64;
        if entry.index != *at || *at != expected {
            return Err(corrupt(format!("where entry {expected} belongs is {at}")));
        }
        entries.push(entry);
    }
    Ok(RaftStart { hard_state, anchor: Place { index, term }, entries, applied })
}

fn check_names(config: &Config, names: &Names) -> Result<(), StartError> {
    if (&names.name, &names.cluster) != (&config.name, &config.cluster) {
        return Err(StartError::Foreign {
            found: names.name.clone(),
            found_cluster: names.cluster.clone(),
            wanted: config.name.clone(),
            wanted_cluster: config.cluster.clone(),
        });
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(
    slots: &LiteMap<u8, Bytes>,
    slot: u8,
) -> Result<Option<T>, StartError> {
    let Some(bytes) = slots.get(&slot) else { return Ok(None) };
    decode_body(bytes)
        .map(Some)
        .map_err(|error| StartError::Corrupt(format!("slot {slot} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_are_counted_and_old_ones_forgotten() {
        let mut boots = Boots::default();
        for nonce in 1..=limits::BOOTS_KEPT as u64 {
            boots.add(nonce * 10);
        }
        assert_eq!(boots.last(), Boot { counter: 1024, nonce: 10_240 });
        assert_eq!(boots.nonce(1), 10);
        boots.add(7);
        assert_eq!(boots.last(), Boot { counter: 1025, nonce: 7 });
        assert_eq!((boots.nonce(0), boots.nonce(1), boots.nonce(2)), (0, 0, 20));
        assert_eq!(boots.nonce(1026), 0);
    }
}
