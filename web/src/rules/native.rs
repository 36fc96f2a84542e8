//! A native cluster, as one of its servers shows it: that server's member tells of itself, and of
//! the others whether it reaches them and which of them leads.

use std::collections::BTreeSet;

use api::report::{LinkState, MemberReport, Role};

use crate::rules::card::{Card, Place, Said, State, reported, said};

/// The names of all members that these reports tell of, in order.
pub fn names<'a>(reports: impl Iterator<Item = &'a MemberReport>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for report in reports {
        names.insert(report.name.clone());
        names.extend(report.peers.iter().map(|peer| peer.name.clone()));
    }
    names.into_iter().collect()
}

/// A member's card, by the report of the server's own member. Nothing can be done with it from
/// here.
pub fn card(name: &str, server: Option<&MemberReport>) -> Card {
    let (state, words, note) = match server {
        Some(report) if report.name == name => reported(report),
        Some(report) => peer(name, report),
        None => said(State::Stopped, "unknown", Some("The server would know more.".into())),
    };
    let place = match server {
        Some(report) if report.name == name => Place::Server,
        Some(_) => Place::OtherServer,
        None => Place::SomeServer,
    };
    Card {
        state,
        words,
        note,
        place,
        stop: false,
        restart: false,
        run_here: false,
        own_tab: false,
        new_cluster: false,
    }
}

/// Another member, as that report sees it.
fn peer(name: &str, report: &MemberReport) -> Said {
    let link = report.peers.iter().find(|peer| peer.name == name).map(|peer| peer.link);
    let awaited = match &report.role {
        Role::Waiting { awaited } => awaited.iter().any(|one| one == name),
        _ => false,
    };
    match link.unwrap_or(LinkState::Down) {
        _ if awaited => said(State::Stopped, "awaited", None),
        LinkState::Up if report.leader.as_deref() == Some(name) => {
            said(State::Leader, "leader", None)
        }
        LinkState::Up if report.leader.is_some() => said(State::Follower, "follower", None),
        // It may stand for election, too; only itself could tell.
        LinkState::Up => said(State::Follower, "in reach", None),
        LinkState::Greeting => said(State::Waiting, "greeting", None),
        LinkState::Down => {
            let note = format!("Member {} does not reach it.", report.name);
            said(State::Stopped, "out of reach", Some(note))
        }
    }
}

#[cfg(test)]
mod tests {
    use api::identity::Boot;
    use api::report::PeerReport;

    use super::*;

    fn report(role: Role, leader: Option<&str>, links: [LinkState; 2]) -> MemberReport {
        let peers = ["c", "b"].iter().zip(links);
        MemberReport {
            name: "a".into(),
            cluster: None,
            raft: None,
            boot: Boot::default(),
            role,
            leader: leader.map(Into::into),
            term: 1,
            commit: 1,
            applied: 1,
            revision: 1,
            peers: peers.map(|(name, link)| PeerReport { name: (*name).into(), link }).collect(),
        }
    }

    #[test]
    fn all_members_have_names() {
        let report = report(Role::Follower, None, [LinkState::Up; 2]);
        assert_eq!(names([&report].into_iter()), ["a", "b", "c"]);
        assert!(names([].into_iter()).is_empty());
    }

    #[test]
    fn the_own_member_tells_of_itself_and_of_the_others() {
        let report = report(Role::Follower, Some("b"), [LinkState::Up; 2]);
        let cards = ["a", "b", "c"].map(|name| card(name, Some(&report)));
        let states = cards.each_ref().map(|card| card.state);
        assert_eq!(states, [State::Follower, State::Leader, State::Follower]);
        let places = cards.each_ref().map(|card| card.place);
        assert_eq!(places, [Place::Server, Place::OtherServer, Place::OtherServer]);
    }

    #[test]
    fn who_is_out_of_reach_is_not_running_as_far_as_is_known() {
        let report = report(Role::Candidate, None, [LinkState::Down, LinkState::Up]);
        let lost = card("c", Some(&report));
        assert_eq!((lost.state, lost.words.as_str()), (State::Stopped, "out of reach"));
        assert_eq!(lost.note.as_deref(), Some("Member a does not reach it."));
        assert_eq!(card("b", Some(&report)).words, "in reach");
        let unknown = card("a", None);
        assert_eq!((unknown.place, unknown.words.as_str()), (Place::SomeServer, "unknown"));
    }

    #[test]
    fn an_awaited_member_is_so_whatever_its_link() {
        let waiting = Role::Waiting { awaited: vec!["c".into()] };
        let report = report(waiting, None, [LinkState::Greeting; 2]);
        assert_eq!(card("c", Some(&report)).words, "awaited");
        assert_eq!(card("b", Some(&report)).state, State::Waiting);
    }

    #[test]
    fn nothing_can_be_done_with_a_server() {
        let refused = report(Role::Refused("wiped".into()), None, [LinkState::Down; 2]);
        for name in ["a", "b"] {
            let card = card(name, Some(&refused));
            assert!(!(card.stop || card.restart || card.run_here));
            assert!(!(card.own_tab || card.new_cluster));
        }
    }
}
