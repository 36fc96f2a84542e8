//! The end of a life: a healed cluster meets a directory that is not what it was.

use storage::Crash;

use super::Failure;
use super::life::{Impostor, LED_MS, Life};
use super::plan::Coda;
use crate::cluster::Cluster;
use crate::invariants::identity;

/// So soon its peers have seen a member, and told it what they think of it.
const SEEN_MS: u64 = 2500;

impl Life {
    /// What comes last.
    pub(super) fn coda(&mut self) -> Result<(), Failure> {
        let what = match self.plan.coda {
            Coda::None => return Ok(()),
            Coda::Wiped => "wiped",
            Coda::RolledBack => "rolled back",
        };
        let count = self.members.len() as u64;
        let place = self.members[self.random.between(0, count) as usize].clone();
        let old = self.cluster.image(&place);
        self.restart(&place)?;
        let crash = if self.random.in_1000(500) { Crash::Lose } else { Crash::Keep };
        self.cluster.crash(&place, crash);
        let image = self.cluster.image(&place);
        self.impostor = Some(Impostor { place: place.clone(), image });
        match self.plan.coda {
            Coda::RolledBack => self.cluster.set_disk(&place, old),
            _ => self.cluster.wipe(&place),
        }
        self.tally.count(if what == "wiped" { "wiped directory" } else { "rolled back" }, 1);
        self.start(&place)?;
        self.run(SEEN_MS)?;
        identity::check_impostor(&place, what, self.cluster.report(&place))?;
        self.others_serve(&place)?;
        self.restore()?;
        self.wait_for(LED_MS, "a leader whom all follow", Cluster::is_led)?;
        self.serves(&place)?;
        self.settle()
    }

    /// A run that all others have seen, with writes that they have committed in it.
    fn restart(&mut self, place: &str) -> Result<(), Failure> {
        self.cluster.crash(place, Crash::Keep);
        self.start(place)?;
        self.wait_for(LED_MS, "a leader whom all follow", Cluster::is_led)?;
        self.run(SEEN_MS)?;
        self.serves(place)
    }

    fn others_serve(&mut self, impostor: &str) -> Result<(), Failure> {
        for place in self.members.clone() {
            if place != impostor {
                self.serves(&place)?;
            }
        }
        Ok(())
    }
}
