//! What the page says above the cards when something is not as it should be.

use api::maintenance::AlarmType;

use crate::rules::card::{Card, State};
use crate::rules::source::Source;
use crate::rules::text;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The hub has been updated under this page.
    OldBuild,
    /// The page may not run members; why.
    CannotHost(String),
    /// No link to the hub, or the server.
    HubDown,
    /// Members of this page live in memory; why.
    InMemory(String),
    /// The cluster forms when these are here, too.
    Forming {
        /// Who is missing.
        awaited: Vec<String>,
    },
    /// The cluster's data is not in this browser, and it does not run elsewhere either.
    Away {
        /// Another cluster that had the name before is here.
        older: bool,
    },
    /// Too few members run.
    NoMajority {
        /// Those that do not.
        missing: Vec<String>,
        /// Some run, so their own copies can be read.
        readable: bool,
    },
    /// These members have no room, or the quota is reached: writes are refused.
    NoSpace(Vec<String>),
    /// The data of these members differs from that of others.
    Corrupt(Vec<String>),
}

/// What the notices depend on.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// The hub sends pages of this build to reload.
    pub old_build: bool,
    /// Why this page may not run members.
    pub cannot_host: Option<String>,
    /// The hub, or the server, was lost or not found for a while.
    pub hub_down: bool,
    /// Why a member of this page lives in memory.
    pub in_memory: Option<String>,
    /// The cluster has formed.
    pub formed: bool,
    /// This browser holds another cluster that had the name before.
    pub older: bool,
    /// The cards, by name.
    pub cards: Vec<(String, Card)>,
    /// The alarms that are raised, by the names of the members.
    pub alarms: Vec<(String, AlarmType)>,
}

/// Everything there is to tell, the most important first.
pub fn notices(now: &Situation) -> Vec<Notice> {
    let mut told = Vec::new();
    if now.old_build {
        told.push(Notice::OldBuild);
    }
    told.extend(now.cannot_host.clone().map(Notice::CannotHost));
    if now.hub_down && !now.old_build {
        told.push(Notice::HubDown);
    }
    match about_members(now) {
        Some(about) => told.push(about),
        // Where nothing can be written anyway, nothing can be done about alarms either.
        None if now.hub_down => {}
        None => told.extend(about_alarms(&now.alarms)),
    }
    told.extend(now.in_memory.clone().map(Notice::InMemory));
    told
}

/// At most one of the notices about who runs.
fn about_members(now: &Situation) -> Option<Notice> {
    let all = &now.cards;
    let running = all.iter().filter(|(_, card)| card.state.runs()).count();
    let awaits = |card: &Card| matches!(card.state, State::Away | State::Lost);
    if running == 0 && all.iter().any(|(_, card)| card.state == State::Away) {
        return Some(Notice::Away { older: now.older });
    }
    let missing = |what: &dyn Fn(&Card) -> bool| -> Vec<String> {
        all.iter().filter(|(_, card)| what(card)).map(|(name, _)| name.clone()).collect()
    };
    if !now.formed {
        // Members that start have not said anything yet: no alarm for the moment that takes.
        let awaited = missing(&|card| card.state == State::Stopped || awaits(card));
        let wait = all.iter().any(|(_, card)| card.state == State::Waiting);
        return (wait && !awaited.is_empty()).then_some(Notice::Forming { awaited });
    }
    if now.hub_down || running > all.len() / 2 {
        return None;
    }
    let starting = all.iter().filter(|(_, card)| card.state == State::Waiting).count();
    if running + starting > all.len() / 2 {
        return None;
    }
    Some(Notice::NoMajority { missing: missing(&|card| !card.state.runs()), readable: running > 0 })
}

fn about_alarms(alarms: &[(String, AlarmType)]) -> impl Iterator<Item = Notice> {
    let of = |kind: AlarmType| -> Vec<String> {
        alarms.iter().filter(|alarm| alarm.1 == kind).map(|(name, _)| name.clone()).collect()
    };
    let some = |names: Vec<String>| (!names.is_empty()).then_some(names);
    let corrupt = some(of(AlarmType::Corrupt)).map(Notice::Corrupt);
    corrupt.into_iter().chain(some(of(AlarmType::NoSpace)).map(Notice::NoSpace))
}

impl Notice {
    /// The first words, on a page from there.
    pub fn title(&self, source: Source) -> String {
        match self {
            Self::OldBuild => "This tab is from an older build.".into(),
            Self::CannotHost(_) => "No member can run in this page.".into(),
            Self::HubDown => format!("The {} is not reachable.", source.name()),
            Self::InMemory(_) => "The members of this page live in memory.".into(),
            Self::Forming { awaited } => format!("Waiting for {}.", text::members(awaited)),
            Self::Away { older: false } => {
                "The data of this cluster is not in this browser.".into()
            }
            Self::Away { older: true } => "The name went to another cluster.".into(),
            Self::NoMajority { missing, .. } => {
                let verb = if missing.len() == 1 { "is" } else { "are" };
                let who = text::sentence(&text::members(missing));
                let what = match source {
                    Source::Hub => "not running",
                    Source::Server => "out of reach",
                };
                format!("{who} {verb} {what}: no majority.")
            }
            Self::NoSpace(_) => "NOSPACE: database space exceeded.".into(),
            Self::Corrupt(_) => "CORRUPT: corrupt cluster.".into(),
        }
    }

    /// The rest: why, and what can be done.
    pub fn body(&self, source: Source) -> String {
        match self {
            Self::OldBuild => {
                format!("The {} was updated. Reload the page to go on.", source.name())
            }
            Self::CannotHost(why) => why.clone(),
            Self::HubDown if source == Source::Server => "Start it again; this page finds it by \
                itself. Other members of its cluster have pages of their own."
                .into(),
            Self::HubDown => "Members cannot talk to each other without it. Start it again \
                with cargo xtask up; this page finds it by itself."
                .into(),
            Self::InMemory(why) => format!(
                "This browser refused files ({why}). What these members hold ends with this page."
            ),
            Self::Forming { .. } => {
                "A new cluster serves once all its members have been up together.".into()
            }
            Self::Away { older: false } => "It may be in another browser, or it was in a private \
                window that is closed, or the site's data was cleared."
                .into(),
            Self::Away { older: true } => "It was started in another browser, or in a private \
                window. This browser still holds the cluster that had the name before."
                .into(),
            Self::NoMajority { readable: true, .. } => "Writes and ordinary reads fail until more \
                members run. Reads marked serializable still work: they show one member's own copy."
                .into(),
            Self::NoMajority { readable: false, .. } => {
                "Nothing can be read or written until more members run.".into()
            }
            Self::NoSpace(names) => format!(
                "{} raised this alarm: writes are refused, reads go on. Delete keys, compact, \
                 which gives their space back, then disarm.",
                text::sentence(&text::members(names))
            ),
            Self::Corrupt(names) => format!(
                "The data of {} differs from that of others, so writes are refused. \
                 etcdctl endpoint hashkv shows whose data is another.",
                text::members(names)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::card::Place;

    fn card(state: State) -> Card {
        Card {
            state,
            words: String::new(),
            note: None,
            place: Place::Here,
            stop: false,
            restart: false,
            run_here: false,
            own_tab: false,
            new_cluster: false,
        }
    }

    fn with(states: [State; 3]) -> Situation {
        let cards = ["1", "2", "3"].iter().zip(states).map(|(n, s)| ((*n).into(), card(s)));
        Situation { formed: true, cards: cards.collect(), ..Situation::default() }
    }

    #[test]
    fn a_majority_is_nothing_to_tell() {
        let now = with([State::Leader, State::Follower, State::Stopped]);
        assert_eq!(notices(&now), []);
    }

    #[test]
    fn without_a_majority_the_missing_are_named() {
        let told = notices(&with([State::Candidate, State::Stopped, State::Refused]));
        assert_eq!(told[0].title(Source::Hub), "Members 2 and 3 are not running: no majority.");
        assert!(told[0].body(Source::Hub).contains("serializable"));
    }

    #[test]
    fn of_servers_is_told_what_one_of_them_knows() {
        let told = notices(&with([State::Candidate, State::Stopped, State::Stopped]));
        let words = "Members 2 and 3 are out of reach: no majority.";
        assert_eq!(told[0].title(Source::Server), words);
        assert_eq!(Notice::HubDown.title(Source::Server), "The server is not reachable.");
        assert!(!Notice::HubDown.body(Source::Server).contains("xtask"));
    }

    #[test]
    fn members_that_are_starting_raise_no_alarm() {
        assert_eq!(notices(&with([State::Waiting, State::Waiting, State::Stopped])), []);
    }

    #[test]
    fn a_forming_cluster_names_who_is_awaited() {
        let mut now = with([State::Waiting, State::Waiting, State::Stopped]);
        now.formed = false;
        assert_eq!(notices(&now), [Notice::Forming { awaited: vec!["3".into()] }]);
    }

    #[test]
    fn data_elsewhere_matters_only_when_the_cluster_does_not_run() {
        let mut away = with([State::Away; 3]);
        assert_eq!(notices(&away), [Notice::Away { older: false }]);
        away.older = true;
        assert_eq!(notices(&away), [Notice::Away { older: true }]);
        let running = with([State::Leader, State::Follower, State::Away]);
        assert_eq!(notices(&running), []);
    }

    #[test]
    fn a_lost_hub_is_told_instead_of_a_lost_majority() {
        let mut now = with([State::Stopped; 3]);
        now.hub_down = true;
        assert_eq!(notices(&now), [Notice::HubDown]);
    }

    #[test]
    fn an_alarm_names_its_members_and_the_way_out() {
        let mut now = with([State::Leader, State::Follower, State::Follower]);
        now.alarms = vec![("1".into(), AlarmType::NoSpace), ("3".into(), AlarmType::NoSpace)];
        let told = notices(&now);
        assert_eq!(told, [Notice::NoSpace(vec!["1".into(), "3".into()])]);
        assert!(told[0].title(Source::Hub).contains("database space exceeded"));
        let body = told[0].body(Source::Hub);
        assert!(body.starts_with("Members 1 and 3 raised this alarm"), "{body}");
        now.alarms.push(("2".into(), AlarmType::Corrupt));
        assert_eq!(notices(&now)[0], Notice::Corrupt(vec!["2".into()]));
    }

    #[test]
    fn alarms_wait_until_something_can_be_done_about_them() {
        let mut now = with([State::Leader, State::Stopped, State::Stopped]);
        now.alarms = vec![("1".into(), AlarmType::NoSpace)];
        assert!(matches!(notices(&now)[..], [Notice::NoMajority { .. }]));
        now.hub_down = true;
        assert_eq!(notices(&now), [Notice::HubDown]);
    }
}
