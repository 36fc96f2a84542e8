//! What a member's card says.

use api::identity::ClusterId;
use api::report::{MemberReport, Role};

use crate::rules::life::{Life, Phase, Storage};
use crate::rules::plan::{Binding, Directories, holds_part_of};
use crate::rules::text;

/// Everything known of one member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// This page has its lock.
    pub life: Option<Life>,
    /// Another page of this browser has its lock.
    pub lock_elsewhere: bool,
    /// Its socket is at the hub.
    pub present: bool,
    /// The newest report of its run.
    pub report: Option<MemberReport>,
    /// Who owns the cluster's name.
    pub binding: Binding,
    /// What this browser holds under the cluster's name.
    pub directories: Directories,
    /// This browser refuses files to the page.
    pub no_files: bool,
    /// This page may run members at all.
    pub may_host: bool,
}

/// The state of a card, as its attributes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Leads.
    Leader,
    /// Follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Does not run.
    Stopped,
    /// Will run when something comes that it waits for.
    Waiting,
    /// Its peers or the hub do not take it.
    Refused,
    /// Its data is gone.
    Lost,
    /// Its data is not in this browser.
    Away,
}

/// Where a member runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this page.
    Here,
    /// In another tab of this browser.
    OtherTab,
    /// In another browser or process.
    OtherBrowser,
    /// In the server that this page comes from.
    Server,
    /// In another server.
    OtherServer,
    /// In a server: which one, nobody tells.
    SomeServer,
    /// Nowhere.
    Nowhere,
}

/// A card.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its state.
    pub state: State,
    /// The state in words.
    pub words: String,
    /// What else there is to say: why, what it waits for, what can be done.
    pub note: Option<String>,
    /// Where it runs.
    pub place: Place,
    /// `Stop` works.
    pub stop: bool,
    /// `Restart` works.
    pub restart: bool,
    /// `Run here` works.
    pub run_here: bool,
    /// It can move to a tab of its own.
    pub own_tab: bool,
    /// A new cluster would help.
    pub new_cluster: bool,
}

impl State {
    /// The value of `data-role`.
    pub fn role(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Stopped | Self::Waiting | Self::Refused | Self::Lost | Self::Away => "stopped",
        }
    }

    /// The value of `data-reason`.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Leader | Self::Follower | Self::Candidate | Self::Stopped => None,
            Self::Waiting => Some("waiting"),
            Self::Refused => Some("refused"),
            Self::Lost => Some("lost"),
            Self::Away => Some("away"),
        }
    }

    /// It takes part in the cluster.
    pub fn runs(self) -> bool {
        matches!(self, Self::Leader | Self::Follower | Self::Candidate)
    }
}

/// The state, the words for it, and a note.
pub(super) type Said = (State, String, Option<String>);

pub(super) fn said(state: State, words: &str, note: Option<String>) -> Said {
    (state, words.into(), note)
}

/// Draws up a member's card.
pub fn card(facts: &Facts) -> Card {
    let (state, words, note) = match &facts.life {
        Some(life) => hosted(life, facts.report.as_ref()),
        None => unhosted(facts),
    };
    let place = place(facts);
    let nowhere = place == Place::Nowhere;
    let startable = facts.may_host && !matches!(state, State::Away | State::Lost);
    Card {
        stop: facts.life.as_ref().is_some_and(Life::can_stop),
        restart: facts.life.as_ref().is_some_and(Life::can_restart),
        run_here: nowhere && startable,
        // What is in memory would not move: the tab would start an empty member.
        own_tab: startable
            && place != Place::OtherBrowser
            && !facts.life.as_ref().is_some_and(Life::in_memory),
        new_cluster: matches!(state, State::Refused | State::Lost)
            || facts.life.as_ref().is_some_and(Life::broken),
        state,
        words,
        note,
        place,
    }
}

/// A member whose lock this page has.
fn hosted(life: &Life, report: Option<&MemberReport>) -> Said {
    match &life.phase {
        Phase::Held => said(State::Waiting, "waiting", Some("Waits for the hub.".into())),
        Phase::Starting => said(State::Waiting, "starting", None),
        Phase::Running => match report {
            Some(report) => reported(report),
            None => said(State::Waiting, "starting", None),
        },
        Phase::Leaving => said(State::Waiting, "stopping", None),
        Phase::Stopped => said(State::Stopped, "stopped", None),
        Phase::Paused => {
            let note = "Paused: its data is in this page's memory.";
            said(State::Stopped, "stopped", Some(note.into()))
        }
        Phase::Crashed { reason } => {
            let note = format!("{} It is started again in a moment.", full_stop(reason));
            said(State::Waiting, "crashed", Some(note))
        }
        Phase::Halted(reason) => said(State::Stopped, "halted", Some(full_stop(reason))),
        Phase::Failed(reason) => said(State::Stopped, "cannot start", Some(full_stop(reason))),
        Phase::Lost => said(State::Lost, "lost", Some(LOST.into())),
    }
}

const LOST: &str = "Its data was in memory, because this browser refused files, and is gone.";

/// What a report says.
pub(super) fn reported(report: &MemberReport) -> Said {
    match &report.role {
        Role::Leader => said(State::Leader, "leader", None),
        Role::Follower => said(State::Follower, "follower", None),
        Role::Candidate => said(State::Candidate, "candidate", None),
        Role::Waiting { awaited } if awaited.is_empty() => {
            said(State::Waiting, "waiting", Some("The cluster is forming.".into()))
        }
        Role::Waiting { awaited } => {
            let note = format!("Waits for {}.", text::members(awaited));
            said(State::Waiting, "waiting", Some(note))
        }
        Role::Refused(reason) => said(State::Refused, "refused", Some(full_stop(reason))),
        Role::Halted(reason) => said(State::Stopped, "halted", Some(full_stop(reason))),
    }
}

/// A member that runs elsewhere, or nowhere.
fn unhosted(facts: &Facts) -> Said {
    if facts.present {
        return match &facts.report {
            Some(report) => reported(report),
            None => said(State::Waiting, "connected", None),
        };
    }
    if facts.lock_elsewhere {
        return if facts.binding == Binding::Unknown {
            said(State::Stopped, "unknown", Some("The hub would know more.".into()))
        } else {
            said(State::Stopped, "stopped", None)
        };
    }
    match facts.binding {
        Binding::Bound(cluster) if !holds_part_of(&facts.directories, cluster) => {
            not_here(facts.no_files)
        }
        _ => said(State::Stopped, "not running", None),
    }
}

fn not_here(no_files: bool) -> Said {
    if no_files {
        return said(State::Lost, "lost", Some(LOST.into()));
    }
    said(State::Away, "not here", Some("Its data is not in this browser.".into()))
}

fn place(facts: &Facts) -> Place {
    if facts.life.is_some() {
        Place::Here
    } else if facts.lock_elsewhere {
        Place::OtherTab
    } else if facts.present {
        Place::OtherBrowser
    } else {
        Place::Nowhere
    }
}

fn full_stop(reason: &str) -> String {
    let text = text::sentence(reason);
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

/// Where its data is, in a word.
pub fn storage_word(life: Option<&Life>) -> Option<&'static str> {
    match life?.storage.as_ref()? {
        Storage::Files => Some("keeps files"),
        Storage::Memory(_) => Some("in memory only"),
    }
}

/// The cluster as its members or the hub name it.
pub fn cluster_id<'a>(
    binding: Binding,
    mut reports: impl Iterator<Item = &'a MemberReport>,
) -> Option<ClusterId> {
    match binding {
        Binding::Bound(cluster) => Some(cluster),
        _ => reports.find_map(|report| report.cluster),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plan::Directory;
    use api::identity::Boot;

    const OURS: ClusterId = ClusterId(7);

    fn report(role: Role) -> Option<MemberReport> {
        Some(MemberReport {
            name: "1".into(),
            cluster: Some(OURS),
            raft: None,
            boot: Boot::default(),
            role,
            leader: None,
            term: 1,
            commit: 1,
            applied: 1,
            revision: 1,
            peers: Vec::new(),
        })
    }

    fn facts() -> Facts {
        let here = Directories::from([("1".into(), Directory { clusters: vec![OURS] })]);
        Facts {
            binding: Binding::Bound(OURS),
            directories: here,
            may_host: true,
            ..Facts::default()
        }
    }

    fn hosting(phase: Phase) -> Facts {
        Facts { life: Some(Life { phase, ..Life::default() }), ..facts() }
    }

    fn attributes(card: &Card) -> (&'static str, Option<&'static str>) {
        (card.state.role(), card.state.reason())
    }

    #[test]
    fn a_running_member_shows_its_role_and_can_be_stopped() {
        for (role, name) in
            [(Role::Leader, "leader"), (Role::Follower, "follower"), (Role::Candidate, "candidate")]
        {
            let card = card(&Facts { report: report(role), ..hosting(Phase::Running) });
            assert_eq!(attributes(&card), (name, None));
            assert!(card.stop && !card.restart && !card.run_here);
            assert_eq!(card.place, Place::Here);
        }
    }

    #[test]
    fn a_stopped_member_keeps_its_place_and_gives_no_reason() {
        // Its last report is still known; it must not be shown as if it ran.
        let card = card(&Facts { report: report(Role::Leader), ..hosting(Phase::Stopped) });
        assert_eq!(attributes(&card), ("stopped", None));
        assert!(card.restart && !card.stop && !card.run_here);
    }

    #[test]
    fn a_waiting_member_says_for_whom() {
        let role = Role::Waiting { awaited: vec!["2".into(), "3".into()] };
        let card = card(&Facts { report: report(role), ..hosting(Phase::Running) });
        assert_eq!(attributes(&card), ("stopped", Some("waiting")));
        assert_eq!(card.note.as_deref(), Some("Waits for members 2 and 3."));
    }

    #[test]
    fn a_refused_member_says_why_and_offers_a_new_cluster() {
        let role = Role::Refused("the data of this member is gone".into());
        let card = card(&Facts { report: report(role), ..hosting(Phase::Running) });
        assert_eq!(attributes(&card), ("stopped", Some("refused")));
        assert_eq!(card.note.as_deref(), Some("The data of this member is gone."));
        assert!(card.new_cluster);
    }

    #[test]
    fn a_member_that_cannot_go_on_offers_a_new_cluster_beside_another_try() {
        for phase in [Phase::Failed("log is damaged".into()), Phase::Halted("disk full".into())] {
            let card = card(&hosting(phase));
            assert!(card.new_cluster && card.restart);
        }
        for phase in [Phase::Stopped, Phase::Crashed { reason: "trap".into() }, Phase::Starting] {
            assert!(!card(&hosting(phase)).new_cluster);
        }
    }

    #[test]
    fn a_member_that_runs_nowhere_can_run_here() {
        let card = card(&facts());
        assert_eq!(attributes(&card), ("stopped", None));
        assert!(card.run_here && card.own_tab);
        assert_eq!(card.place, Place::Nowhere);
    }

    #[test]
    fn data_of_another_browser_is_away_and_cannot_run_here() {
        let card = card(&Facts { directories: Directories::new(), ..facts() });
        assert_eq!(attributes(&card), ("stopped", Some("away")));
        assert!(!card.run_here && !card.own_tab);
    }

    #[test]
    fn data_that_was_in_memory_is_lost() {
        let gone = Facts { directories: Directories::new(), no_files: true, ..facts() };
        assert_eq!(attributes(&card(&gone)), ("stopped", Some("lost")));
        let crashed = card(&hosting(Phase::Lost));
        assert_eq!(attributes(&crashed), ("stopped", Some("lost")));
        assert!(crashed.new_cluster);
    }

    #[test]
    fn members_elsewhere_show_what_the_hub_passes_on() {
        let elsewhere = Facts { present: true, report: report(Role::Follower), ..facts() };
        assert_eq!(card(&elsewhere).place, Place::OtherBrowser);
        let tab = Facts { lock_elsewhere: true, ..elsewhere };
        let shown = card(&tab);
        assert_eq!(shown.place, Place::OtherTab);
        assert_eq!(attributes(&shown), ("follower", None));
        assert!(shown.own_tab && !shown.stop && !shown.run_here);
    }

    #[test]
    fn a_lock_without_a_socket_is_a_stopped_member() {
        let card = card(&Facts { lock_elsewhere: true, ..facts() });
        assert_eq!(attributes(&card), ("stopped", None));
        assert!(!card.run_here);
    }

    #[test]
    fn a_page_that_may_not_host_offers_to_run_nothing() {
        let card = card(&Facts { may_host: false, ..facts() });
        assert!(!card.run_here && !card.own_tab);
    }
}
