//! What becomes of a request, in words. They always say which request it is.

use api::{Code, Error};

use crate::rules::notice::Notice;
use crate::rules::text;

/// An answer shows at once; only what takes longer is said to wait.
const AT_ONCE_MS: f64 = 100.0;

/// From here on it is said how long, and for what.
const A_WHILE_MS: f64 = 1000.0;

/// A request that has no answer yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Waits {
    /// The request, in words.
    pub what: String,
    /// When it was asked, in milliseconds.
    pub since: f64,
}

/// Who answered a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The member's name.
    pub by: String,
    /// The revision of its answer.
    pub revision: i64,
    /// How long it took.
    pub millis: f64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// No answer yet.
    Waits(Waits),
    /// It is done; the request in words, and who answered.
    Done(String, Answered),
    /// It failed.
    Failed {
        /// Why, in words.
        why: String,
        /// Because of the cluster's state, which may be better since.
        passes: bool,
    },
}

impl Answered {
    /// In words.
    pub fn by_whom(&self) -> String {
        let took = text::millis(self.millis);
        format!("answered by member {} at revision {} in {took}", self.by, self.revision)
    }
}

impl Fate {
    /// The request, if it has no answer yet.
    pub fn waits(&self) -> Option<&Waits> {
        if let Self::Waits(waits) = self { Some(waits) } else { None }
    }

    /// The answer, in words.
    pub fn done(&self) -> Option<String> {
        let Self::Done(what, answered) = self else { return None };
        Some(format!("{what}: {}.", answered.by_whom()))
    }

    /// What is wrong, in words.
    pub fn failed(&self) -> Option<&str> {
        if let Self::Failed { why, .. } = self { Some(why) } else { None }
    }

    /// A write failed.
    pub fn of_write(what: &str, error: &Error) -> Self {
        let why = of_failed_write(what, error);
        Self::Failed { why, passes: error.code() == Code::Unavailable }
    }

    /// What is wrong is not wrong any more once the cluster has a leader again.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Failed { passes: true, .. })
    }
}

impl Waits {
    /// The waiting, in words: the request and what it waits for, and for how long so far. Apart,
    /// because nobody wants the seconds read out.
    pub fn words(&self, now: f64, awaited: &str) -> Option<(String, String)> {
        let millis = now - self.since;
        if millis < AT_ONCE_MS {
            None
        } else if millis < A_WHILE_MS {
            Some((format!("{}: waiting…", self.what), String::new()))
        } else {
            let seconds = format!(" {} s so far.", (millis / 1000.0) as u64);
            Some((format!("{}: waiting for {awaited}.", self.what), seconds))
        }
    }
}

/// Why a write failed, and what became of it, in words.
pub fn of_failed_write(what: &str, error: &Error) -> String {
    let timeout =
        matches!(error, Error::Timeout | Error::TimeoutLeaderFail | Error::TimeoutConnectionLost);
    let fate = if timeout { ". It may have been done all the same." } else { "" };
    format!("{what}: {}{fate}", error.text())
}

/// What requests wait for now.
pub fn awaited(notices: &[Notice], reached: bool, led: bool) -> String {
    for notice in notices {
        match notice {
            Notice::NoMajority { missing, .. } => {
                let verb = if missing.len() == 1 { "does" } else { "do" };
                return format!("a majority ({} {verb} not run)", text::members(missing));
            }
            Notice::Forming { awaited } => {
                return format!("the cluster to form ({} awaited)", text::members(awaited));
            }
            _ => {}
        }
    }
    let what = match (reached, led) {
        (false, _) => "a member that can be reached",
        (true, false) => "a leader",
        (true, true) => "the answer",
    };
    what.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_more_the_longer_it_takes() {
        let waits = Waits { what: "Put key1".into(), since: 1000.0 };
        let words = |now| waits.words(now, "a leader");
        assert_eq!(words(1090.0), None);
        assert_eq!(words(1300.0), Some(("Put key1: waiting…".into(), String::new())));
        let long = ("Put key1: waiting for a leader.".into(), " 3 s so far.".into());
        assert_eq!(words(4900.0), Some(long));
    }

    #[test]
    fn what_is_awaited_is_what_is_missing() {
        let missing = vec!["1".to_owned(), "3".to_owned()];
        let notices = [Notice::NoMajority { missing, readable: true }];
        assert_eq!(awaited(&notices, true, false), "a majority (members 1 and 3 do not run)");
        let forming = [Notice::HubDown, Notice::Forming { awaited: vec!["2".into()] }];
        assert_eq!(awaited(&forming, true, false), "the cluster to form (member 2 awaited)");
        assert_eq!(awaited(&[], false, true), "a member that can be reached");
        assert_eq!(awaited(&[], true, false), "a leader");
        assert_eq!(awaited(&[], true, true), "the answer");
    }

    #[test]
    fn an_answer_names_its_request() {
        let answered = Answered { by: "1".into(), revision: 8, millis: 36.2 };
        let done = Fate::Done("Put key1".into(), answered).done();
        let words = "Put key1: answered by member 1 at revision 8 in 36.2 ms.";
        assert_eq!(done.as_deref(), Some(words));
    }

    #[test]
    fn a_write_without_an_answer_may_be_done() {
        let fate = Fate::of_write("Put k", &Error::Timeout);
        let words = "Put k: etcdserver: request timed out. It may have been done all the same.";
        assert_eq!((fate.failed(), fate.passes()), (Some(words), true));
        let fate = Fate::of_write("Put k", &Error::RequestTooLarge);
        let words = "Put k: etcdserver: request is too large";
        assert_eq!((fate.failed(), fate.passes()), (Some(words), false));
    }
}
