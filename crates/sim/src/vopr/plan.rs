//! What kind of life it will be. Each life has only some of all faults: two that always come
//! together could hide each other.

use node::Pace;

use crate::net::Faults;
use crate::random::Random;

/// All that is drawn before a life begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many members.
    pub members: u64,
    /// The last so many of them do not vote.
    pub learners: u64,
    /// They are linked to each other, and not by way of the hub.
    pub direct: bool,
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
    /// How much members keep where.
    pub pace: Pace,
    /// How long a member works before it does what it has put off.
    pub turn_ms: u64,
    /// How long a step of a job takes.
    pub step_ms: u64,
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
            pace: pace(&mut random),
            step_ms: random.between(1, 8) * if slow { 4 } else { 1 },
            coda,
            direct: random.in_1000(250),
            turn_ms: random.between(0, 6).saturating_sub(2),
        }
    }
}

/// In some lives nothing leaves memory, in others everything does at once.
fn pace(random: &mut Random) -> Pace {
    if random.in_1000(200) {
        return Pace::NATIVE;
    }
    let size = random.between(1, 12);
    // Often less than one write looks at.
    let most = if random.in_1000(500) { 5 } else { 60 };
    Pace {
        run_rows: size as usize * 8,
        run_bytes: size as usize * 4096,
        run_entries: size * 12,
        keep_entries: random.between(1, 40),
        keep_bytes: size as usize * 8192,
        // A file has this much when almost nothing is in it.
        rewrite_bytes: if random.in_1000(500) { 60_000 } else { 4_000_000 },
        quota_bytes: if random.in_1000(100) { 5000 } else { u64::MAX },
        read_keys: random.between(1, 6) as usize,
        apply_entries: random.between(1, most) as usize,
        watch_rows: random.between(1, most) as usize,
        log_bytes: if random.in_1000(500) { 300 } else { 20_000 },
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
