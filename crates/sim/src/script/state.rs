//! What each place shows of itself.

use api::report::Role;

use super::Runner;

impl Runner {
    pub(super) fn state(&self) -> String {
        let mut lines = Vec::new();
        for place in self.cluster.places() {
            let Some(node) = self.cluster.node(&place) else {
                lines.push(format!("      {place} off"));
                continue;
            };
            let Some(report) = self.cluster.report(&place) else { continue };
            let role = match &report.role {
                Role::Waiting { .. } => "waiting",
                Role::Leader => "leader",
                Role::Follower => "follower",
                Role::Candidate => "candidate",
                Role::Refused(_) => "refused",
                Role::Halted(_) => "halted",
            };
            let peers = report.peers.iter().map(|peer| format!("{} {:?}", peer.name, peer.link));
            let store = node.store_hash(0);
            let (revision, hash) = store.map_or((0, 0), |store| (store.revision, store.hash));
            let (anchor, last) = node.raft_view().map_or((0, 0), |v| (v.anchor.0, v.last));
            let log = if anchor > 0 { format!(" log ({anchor}, {last}]") } else { String::new() };
            lines.push(format!(
                "      {place} {role} t{} commit {}{log} rev {revision} hash {hash:08x} peers {}",
                report.term,
                report.commit,
                peers.collect::<Vec<_>>().join(", ").to_lowercase(),
            ));
        }
        lines.join("\n")
    }

    pub(super) fn timeouts(&self) -> String {
        let places = self.cluster.places();
        let timeout = |place: &String| {
            let ticks = self.cluster.node(place)?.election_timeout()?;
            Some(format!("      {place} stands after {ticks} ticks"))
        };
        places.iter().filter_map(timeout).collect::<Vec<_>>().join("\n")
    }
}
