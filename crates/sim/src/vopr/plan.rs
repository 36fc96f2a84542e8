//! What kind of life it will be. Each life has only some of all faults: two that always come
//! together could hide each other.

use crate::net::Faults;
use crate::random::Random;

/// All that is drawn before a life begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many members.
    pub members: u64,
    /// The last so many of them do not vote.
    pub learners: u64,
    /// How long things happen to the cluster.
    pub trouble_ms: u64,
    /// How long a frame takes to the hub, and from there.
    pub latency_ms: u64,
    /// How long a disk takes to sync.
    pub sync_ms: u64,
    /// The longest pause between two things that happen.
    pub pause_ms: u64,
    /// Of 1000 things that happen so many are faults; the others are requests.
    pub faults: u64,
    /// What happens to frames.
    pub frames: Faults,
    /// Which kinds of faults there are: a bit each.
    pub kinds: u64,
    /// How many keys there are.
    pub keys: u64,
    /// What happens after the cluster has healed.
    pub coda: Coda,
}

/// What happens after the cluster has healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coda {
    /// Nothing more.
    None,
    /// A member comes back with an empty directory.
    Wiped,
    /// A member comes back with an older state of its directory.
    RolledBack,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x9_1a4);
        let shapes = [(1, 0), (2, 1), (3, 0), (3, 0), (3, 0), (3, 0), (4, 1), (5, 0), (5, 0)];
        let (members, learners) = shapes[random.between(0, shapes.len() as u64) as usize];
        // In some lives much happens before a sync comes back.
        let slow = random.in_1000(250);
        let coda = match random.between(0, 4) {
            // Of one voter the others cannot go on without it.
            _ if members - learners == 1 => Coda::None,
            0 => Coda::Wiped,
            1 => Coda::RolledBack,
            _ => Coda::None,
        };
        Self {
            members,
            learners,
            trouble_ms: random.between(5000, 9000),
            latency_ms: random.between(1, 12),
            sync_ms: random.between(1, 12) * if slow { 10 } else { 1 },
            pause_ms: random.between(10, 60),
            faults: random.between(60, 300),
            frames: frames(&mut random),
            kinds: random.next_u64() | random.next_u64(),
            keys: random.between(2, 9),
            coda,
        }
    }
}

/// Each kind in half of all lives.
fn frames(random: &mut Random) -> Faults {
    let mut one = |most| {
        let (there, chance) = (random.in_1000(500), random.between(1, most));
        if there { chance } else { 0 }
    };
    let (drop, double, late, across) = (one(80), one(80), one(120), one(1000));
    Faults { drop, double, late, across, late_ms: random.between(50, 1500) }
}
