//! Which way the page's requests go.

use api::report::{MemberReport, Role};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a member that runs in this page.
    Local(String),
    /// Through the hub to a member that it chooses.
    Hub,
}

/// It answers requests, be it only reads of its own copy.
pub fn serves(report: &MemberReport) -> bool {
    rank(report).is_some()
}

/// Smaller is better.
fn rank(report: &MemberReport) -> Option<u8> {
    match report.role {
        Role::Leader => Some(0),
        Role::Follower if report.leader.is_some() => Some(1),
        Role::Follower | Role::Candidate => Some(2),
        Role::Waiting { .. } | Role::Refused(_) | Role::Halted(_) => None,
    }
}

/// Picks a way. `local` are the reports of the members that run here; `busy` says that answers are
/// awaited.
///
/// A way that knows of a leader is kept: changing it costs every watch a new start. So is any that
/// still serves while answers are awaited: turning away ends them with an unknown fate.
pub fn choose<'a>(
    now: Option<&Route>,
    busy: bool,
    local: impl Iterator<Item = &'a MemberReport>,
    hub_up: bool,
) -> Option<Route> {
    let mut best: Option<(u8, bool, &str)> = None;
    for report in local {
        let Some(rank) = rank(report) else { continue };
        let kept = matches!(now, Some(Route::Local(name)) if *name == report.name);
        if kept && (rank < 2 || busy) {
            return now.cloned();
        }
        // Among equals the one that is asked already.
        if best.is_none_or(|(r, k, _)| (rank, !kept) < (r, !k)) {
            best = Some((rank, kept, &report.name));
        }
    }
    if busy && hub_up && now == Some(&Route::Hub) {
        return now.cloned();
    }
    match best {
        // One that knows of no leader may be cut off: another may do better behind the hub, but
        // only this one is sure to be there.
        Some((_, _, name)) => Some(Route::Local(name.into())),
        None => hub_up.then_some(Route::Hub),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, role: Role, leader: Option<&str>) -> MemberReport {
        MemberReport {
            name: name.into(),
            cluster: None,
            raft: None,
            boot: api::identity::Boot::default(),
            role,
            leader: leader.map(Into::into),
            term: 1,
            commit: 1,
            applied: 1,
            revision: 1,
            peers: Vec::new(),
        }
    }

    fn local(name: &str) -> Option<Route> {
        Some(Route::Local(name.into()))
    }

    #[test]
    fn the_leader_is_asked_first_then_who_knows_one() {
        let members = [
            report("1", Role::Candidate, None),
            report("2", Role::Follower, Some("3")),
            report("3", Role::Leader, Some("3")),
        ];
        assert_eq!(choose(None, false, members.iter(), true), local("3"));
        assert_eq!(choose(None, false, members[..2].iter(), true), local("2"));
        assert_eq!(choose(None, false, members[..1].iter(), true), local("1"));
    }

    #[test]
    fn a_way_that_works_is_kept() {
        let members =
            [report("1", Role::Leader, Some("1")), report("2", Role::Follower, Some("1"))];
        assert_eq!(choose(local("2").as_ref(), false, members.iter(), true), local("2"));
        let alone = [report("1", Role::Leader, Some("1")), report("2", Role::Candidate, None)];
        assert_eq!(choose(local("2").as_ref(), false, alone.iter(), true), local("1"));
    }

    #[test]
    fn members_without_a_leader_are_not_tried_in_turn() {
        let cut_off = [report("1", Role::Candidate, None), report("2", Role::Candidate, None)];
        assert_eq!(choose(local("2").as_ref(), false, cut_off.iter(), true), local("2"));
    }

    #[test]
    fn awaited_answers_are_not_given_up_for_a_better_way() {
        let better = [report("1", Role::Leader, Some("1")), report("2", Role::Candidate, None)];
        assert_eq!(choose(local("2").as_ref(), true, better.iter(), true), local("2"));
        assert_eq!(choose(local("2").as_ref(), true, better[..1].iter(), true), local("1"));
        let hub = Some(Route::Hub);
        assert_eq!(choose(hub.as_ref(), true, better.iter(), true), hub);
        assert_eq!(choose(hub.as_ref(), true, better.iter(), false), local("1"));
        assert_eq!(choose(hub.as_ref(), false, better.iter(), true), local("1"));
    }

    #[test]
    fn a_page_without_serving_members_asks_through_the_hub() {
        let refused = [report("1", Role::Refused("wiped".into()), None)];
        assert_eq!(choose(None, false, refused.iter(), true), Some(Route::Hub));
        assert_eq!(choose(local("1").as_ref(), false, refused.iter(), false), None);
    }
}
