//! Which members a page starts, and when it may start a new cluster.

use std::collections::{BTreeMap, BTreeSet};

use api::identity::ClusterId;

use crate::rules::address::MEMBERS;
use crate::rules::text;

/// This browser's directories under one cluster name, by member.
pub type Directories = BTreeMap<String, Directory>;

/// One member's directory, as far as its entries' names tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The clusters that it was formed into: one, or none yet.
    pub clusters: Vec<ClusterId>,
}

/// What the hub says about the owner of the cluster's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// The hub has not been reached yet.
    #[default]
    Unknown,
    /// Nobody's: no cluster has formed under it.
    Free,
    /// This cluster's.
    Bound(ClusterId),
}

/// What to do with a member whose lock this page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it.
    Start,
    /// Keep the lock and ask again when the hub has answered.
    AwaitHub,
    /// Not here: the cluster's data is not in this browser. Free the lock.
    Leave,
}

/// A directory of this browser belongs to the cluster.
pub fn holds_part_of(directories: &Directories, cluster: ClusterId) -> bool {
    directories.values().any(|d| d.clusters.contains(&cluster))
}

/// This browser holds another cluster that had the name before, enough of it to run again.
pub fn holds_an_older(directories: &Directories, binding: Binding) -> bool {
    let Binding::Bound(bound) = binding else { return false };
    let clusters = || directories.values().flat_map(|directory| &directory.clusters);
    let held = |cluster| clusters().filter(|held| **held == cluster).count();
    clusters().any(|cluster| *cluster != bound && held(*cluster) > MEMBERS.len() / 2)
}

/// The member's directory is of another cluster than the one that has the name, and so is all that
/// this browser holds: its peers are not there.
pub fn is_strange(member: &str, binding: Binding, directories: &Directories) -> bool {
    let Binding::Bound(bound) = binding else { return false };
    let formed = directories.get(member).is_some_and(|directory| !directory.clusters.is_empty());
    formed && !holds_part_of(directories, bound)
}

/// Decides about one member.
///
/// A browser without any directory of the bound cluster starts nothing: its members would be
/// strangers. One that holds some starts the missing one, too, so that its peers refuse it and
/// its card says why.
pub fn verdict(member: &str, binding: Binding, directories: &Directories) -> Verdict {
    match binding {
        Binding::Bound(cluster) if holds_part_of(directories, cluster) => Verdict::Start,
        Binding::Bound(_) => Verdict::Leave,
        Binding::Free => Verdict::Start,
        Binding::Unknown => match directories.get(member) {
            Some(directory) if !directory.clusters.is_empty() => Verdict::Start,
            _ => Verdict::AwaitHub,
        },
    }
}

/// Why no new cluster may take the name now: other tabs of this browser have members at work,
/// and would lose what these hold. The hub knows only of those whose link stands.
pub fn in_the_way(at_work: &BTreeSet<String>, own: &BTreeSet<String>) -> Option<String> {
    let others: Vec<String> = at_work.difference(own).cloned().collect();
    let (tabs, stop) = match others.len() {
        0 => return None,
        1 => ("in another tab", "Stop it there first, or close that tab."),
        _ => ("in other tabs", "Stop them there first, or close those tabs."),
    };
    let members = text::members(&others);
    Some(format!(
        "A part of this cluster runs elsewhere: {members}, {tabs} of this browser. {stop}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: ClusterId = ClusterId(7);
    const OTHER: ClusterId = ClusterId(8);

    fn formed(members: &[(&str, ClusterId)]) -> Directories {
        let directory = |id| Directory { clusters: vec![id] };
        members.iter().map(|(name, id)| ((*name).into(), directory(*id))).collect()
    }

    #[test]
    fn a_free_name_starts_whatever_is_here() {
        assert_eq!(verdict("1", Binding::Free, &Directories::new()), Verdict::Start);
        assert_eq!(verdict("1", Binding::Free, &formed(&[("2", OTHER)])), Verdict::Start);
    }

    #[test]
    fn a_browser_without_the_bound_cluster_starts_nothing() {
        let bound = Binding::Bound(OURS);
        assert_eq!(verdict("1", bound, &Directories::new()), Verdict::Leave);
        assert_eq!(verdict("1", bound, &formed(&[("1", OTHER)])), Verdict::Leave);
        let unformed = Directories::from([("1".into(), Directory::default())]);
        assert_eq!(verdict("1", bound, &unformed), Verdict::Leave);
    }

    #[test]
    fn a_browser_with_a_part_of_it_starts_the_missing_member() {
        let here = formed(&[("1", OURS), ("2", OURS)]);
        for member in ["1", "2", "3"] {
            assert_eq!(verdict(member, Binding::Bound(OURS), &here), Verdict::Start);
        }
    }

    #[test]
    fn an_older_cluster_can_come_back_if_a_majority_of_it_is_here() {
        let older =
            |members: &[(&str, ClusterId)]| holds_an_older(&formed(members), Binding::Bound(OURS));
        assert!(older(&[("1", OTHER), ("3", OTHER)]));
        assert!(!older(&[("1", OTHER)]));
        assert!(!older(&[("1", OTHER), ("2", ClusterId(9)), ("3", OURS)]));
        assert!(!older(&[("1", OURS), ("2", OURS), ("3", OURS)]));
        assert!(!holds_an_older(&formed(&[("1", OTHER), ("2", OTHER)]), Binding::Free));
    }

    #[test]
    fn only_what_has_formed_into_another_cluster_is_strange() {
        let bound = Binding::Bound(OURS);
        assert!(is_strange("1", bound, &formed(&[("1", OTHER), ("2", OTHER)])));
        assert!(!is_strange("3", bound, &formed(&[("1", OTHER)])));
        assert!(!is_strange("1", bound, &formed(&[("1", OTHER), ("2", OURS)])), "it is refused");
        let forming = Directories::from([("1".into(), Directory::default())]);
        assert!(!is_strange("1", bound, &forming), "it forms right now");
        assert!(!is_strange("1", Binding::Free, &formed(&[("1", OTHER)])));
        assert!(!is_strange("1", Binding::Unknown, &formed(&[("1", OTHER)])));
    }

    #[test]
    fn what_other_tabs_have_at_work_is_in_the_way_of_a_new_cluster() {
        let names = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
        let why = |at_work: &[&str], own: &[&str]| in_the_way(&names(at_work), &names(own));
        assert_eq!(why(&[], &[]), None);
        assert_eq!(why(&["1", "2"], &["1", "2", "3"]), None);
        let one = "A part of this cluster runs elsewhere: member 3, in another tab of this \
            browser. Stop it there first, or close that tab.";
        assert_eq!(why(&["1", "3"], &["1"]).as_deref(), Some(one));
        let two = "A part of this cluster runs elsewhere: members 1 and 3, in other tabs of this \
            browser. Stop them there first, or close those tabs.";
        assert_eq!(why(&["1", "2", "3"], &["2"]).as_deref(), Some(two));
    }

    #[test]
    fn without_a_hub_only_formed_members_start() {
        let here = formed(&[("1", OURS)]);
        assert_eq!(verdict("1", Binding::Unknown, &here), Verdict::Start);
        assert_eq!(verdict("2", Binding::Unknown, &here), Verdict::AwaitHub);
    }
}
