//! What the table of keys shows, and what it says that this is.
//!
//! ```text
//!                  read                      another scope is asked for
//!  nothing ──────────────────► rows of it ──────────────────────────────► rows of the one before
//!     ▲                            ▲                                              │   │
//!     │                            └──────────────────── read ────────────────────┘   │
//!     └─────────────────────── it cannot be read, or is no scope ─────────────────────┘
//! ```
//!
//! The caption always describes the rows, whatever was asked for since.

use api::Bytes;
use api::kv::RangeResponse;
use api::watch::Event;

use crate::rules::fate::Answered;
use crate::rules::listing::{Listing, Row};
use crate::rules::scope::Scope;
use crate::rules::text;

/// The table's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Showing {
    asked: Result<Scope, String>,
    shown: Option<Shown>,
    error: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Shown {
    scope: Scope,
    listing: Listing,
    answered: Answered,
}

/// How the page is in touch with the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// A member listens.
    pub reached: bool,
    /// Some member knows of a leader.
    pub led: bool,
}

/// What a caption's rows are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They change as the keys do.
    Live,
    /// They are those of a past revision.
    Past,
    /// They are those of now as far as it was told, and nothing more is told.
    Behind,
}

/// What stands above the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// What they are worth.
    pub kind: Kind,
    /// Which keys, and as of when.
    pub words: String,
    /// Who answered.
    pub answered: String,
}

impl Default for Showing {
    fn default() -> Self {
        Self { asked: Ok(Scope::default()), shown: None, error: None }
    }
}

impl Showing {
    /// Something is asked for: a scope, or what is wrong with what was typed. Rows of another scope
    /// stay, under their own caption, until the answer comes. True if it is something else than
    /// before.
    pub fn ask(&mut self, asked: Result<Scope, String>) -> bool {
        let other = asked != self.asked;
        match &asked {
            Err(wrong) => {
                self.shown = None;
                self.error = Some(wrong.clone());
            }
            Ok(_) if other => self.error = None,
            Ok(_) => {}
        }
        self.asked = asked;
        other
    }

    /// What was asked for has come.
    pub fn read(&mut self, scope: Scope, page: RangeResponse, answered: Answered) {
        let listing = Listing::first(scope.start(), page);
        self.shown = Some(Shown { scope, listing, answered });
        self.error = None;
    }

    /// What was asked for did not come. Rows of it that are there already stay: they are true.
    pub fn failed(&mut self, error: &str) {
        let what = self.asked.as_ref().map_or_else(|_| String::new(), |asked| asked.read() + ": ");
        self.error = Some(what + error);
        if !self.fits() {
            self.shown = None;
        }
    }

    /// More rows have come.
    pub fn fill(&mut self, from: &[u8], page: RangeResponse) {
        if let Some(shown) = &mut self.shown {
            shown.listing.fill(from, page);
            self.error = None;
        }
    }

    /// More rows are asked for.
    pub fn grow(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.listing.grow();
        }
    }

    /// Takes changes.
    pub fn apply(&mut self, events: Vec<Event>) {
        if let Some(shown) = &mut self.shown {
            events.into_iter().for_each(|event| shown.listing.apply(event));
        }
    }

    /// What was shown is not true any more.
    pub fn forget(&mut self) {
        self.shown = None;
        self.error = None;
    }

    /// There are rows, or it is known that there are none.
    pub fn has_read(&self) -> bool {
        self.shown.is_some()
    }

    /// What is shown is what is asked for.
    pub fn fits(&self) -> bool {
        self.scope() == self.asked.as_ref().ok()
    }

    /// Whose rows are shown.
    pub fn scope(&self) -> Option<&Scope> {
        self.shown.as_ref().map(|shown| &shown.scope)
    }

    /// Why what is asked for is not shown.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// What was typed is no scope.
    pub fn mistyped(&self) -> bool {
        self.asked.is_err()
    }

    /// The rows on show are those of something that is not asked for any more.
    pub fn is_late(&self) -> bool {
        self.has_read() && !self.fits()
    }

    /// Rows of now can be deleted, rows of the past cannot.
    pub fn may_delete(&self) -> bool {
        self.scope().is_some_and(|scope| scope.revision.is_none())
    }

    /// Keys that lack: of which scope, from which one on, and how many.
    pub fn wanted(&self) -> Option<(Scope, Bytes, usize)> {
        let shown = self.shown.as_ref()?;
        let (from, lacking) = shown.listing.wanted()?;
        Some((shown.scope.clone(), from, lacking))
    }

    /// The keys on show, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        self.listing().map_or_else(Vec::new, Listing::keys)
    }

    /// One row.
    pub fn row(&self, key: &[u8]) -> Option<&Row> {
        self.listing()?.row(key)
    }

    /// There are more keys than rows.
    pub fn goes_on(&self) -> bool {
        self.listing().is_some_and(Listing::goes_on)
    }

    fn listing(&self) -> Option<&Listing> {
        self.shown.as_ref().map(|shown| &shown.listing)
    }

    /// What stands above the rows.
    pub fn caption(&self, touch: Touch) -> Option<Caption> {
        let Shown { scope, listing, answered } = self.shown.as_ref()?;
        let copy = scope.serializable.then(|| format!(" in member {}’s own copy", answered.by));
        let keys = text::sentence(&scope.keys()) + &copy.unwrap_or_default();
        let told = listing.told();
        let behind = |why| (Kind::Behind, format!("{keys} as of revision {told}. {why}"));
        let (kind, words) = match scope.revision {
            Some(then) => {
                let words = format!("{keys} as they were at revision {then}. They do not change.");
                (Kind::Past, words)
            }
            None if !touch.reached => behind("No member is reached, so changes are not seen."),
            None if !touch.led => behind("There is no leader, so newer changes may be missing."),
            None => (Kind::Live, format!("{keys}, live since revision {}.", answered.revision)),
        };
        let (by, took) = (&answered.by, text::millis(answered.millis));
        Some(Caption { kind, words, answered: format!("Answered by member {by} in {took}.") })
    }

    /// How many keys there are, in words.
    pub fn count(&self) -> Option<String> {
        let listing = self.listing()?;
        match (listing.shown(), listing.count()) {
            (0, _) => None,
            (1, 1) => Some("1 key".into()),
            (shown, all) if shown == all => Some(format!("{all} keys")),
            (shown, all) => Some(format!("{shown} of {all} keys")),
        }
    }

    /// What stands in the place of rows.
    pub fn nothing(&self) -> Option<&'static str> {
        let Some(Shown { scope, listing, .. }) = &self.shown else {
            return self.error.is_none().then_some("Nothing has been read yet.");
        };
        if listing.shown() > 0 {
            return None;
        }
        Some(match (listing.goes_on(), scope.revision, scope.prefix.is_empty()) {
            // They were all deleted under the table, and the ones behind them are on their way.
            (true, ..) => "The next keys are being read.",
            (false, Some(_), true) => "There were no keys then.",
            (false, Some(_), false) => "No key started with this prefix then.",
            (false, None, true) => "There are no keys yet. Put the first one.",
            (false, None, false) => "No key starts with this prefix.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kv::{KeyValue, ResponseHeader};
    use api::watch::EventType;

    const IN_TOUCH: Touch = Touch { reached: true, led: true };

    fn scope(prefix: &str, revision: &str) -> Scope {
        Scope::parse(prefix, revision, false).expect("it is good")
    }

    fn page(keys: &[&str], more: bool) -> RangeResponse {
        let kv = |key: &&str| KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            mod_revision: 2,
            ..KeyValue::default()
        };
        RangeResponse {
            header: ResponseHeader { revision: 9, ..ResponseHeader::default() },
            kvs: keys.iter().map(kv).collect(),
            more,
            count: keys.len() as i64 + i64::from(more),
        }
    }

    fn answered() -> Answered {
        Answered { by: "2".into(), revision: 9, millis: 3.0 }
    }

    /// The rows of a scope are shown.
    fn showing(scope: Scope) -> Showing {
        let mut showing = Showing::default();
        showing.ask(Ok(scope.clone()));
        showing.read(scope, page(&["a"], false), answered());
        showing
    }

    fn says(showing: &Showing) -> Option<String> {
        showing.caption(IN_TOUCH).map(|caption| caption.words)
    }

    #[test]
    fn rows_keep_their_own_caption_until_others_come() {
        let mut showing = showing(scope("", "4"));
        let past = "All keys as they were at revision 4. They do not change.";
        assert_eq!((says(&showing).as_deref(), showing.may_delete()), (Some(past), false));
        showing.ask(Ok(scope("key", "")));
        assert_eq!((says(&showing).as_deref(), showing.may_delete()), (Some(past), false));
        assert!(showing.is_late());
        showing.read(scope("key", ""), page(&["key1"], false), answered());
        let live = "Keys that start with “key”, live since revision 9.";
        assert_eq!((says(&showing).as_deref(), showing.may_delete()), (Some(live), true));
        assert!(showing.fits() && !showing.is_late());
    }

    #[test]
    fn what_cannot_be_read_leaves_no_rows_of_something_else() {
        let mut showing = showing(scope("", "4"));
        showing.ask(Ok(scope("", "99999")));
        showing.failed("a future revision");
        let error = "Read all keys at revision 99999: a future revision";
        assert_eq!((says(&showing), showing.error()), (None, Some(error)));
        assert_eq!((showing.keys(), showing.nothing()), (vec![], None));
        assert!(!showing.is_late());
    }

    #[test]
    fn what_is_no_revision_leaves_no_rows() {
        for wrong in ["abc", "-5", "0"] {
            let mut showing = showing(scope("", "4"));
            showing.ask(Scope::parse("", wrong, false));
            assert_eq!((says(&showing), showing.may_delete()), (None, false), "{wrong}");
            assert!(showing.mistyped() && showing.error().is_some());
        }
    }

    #[test]
    fn an_error_goes_when_something_else_is_asked_for_or_comes() {
        let mut showing = showing(scope("", ""));
        showing.failed("timed out");
        assert_eq!(showing.keys(), ["a"], "they are what is asked for, and true");
        showing.ask(Ok(scope("", "")));
        assert_eq!(showing.error(), Some("Read all keys: timed out"));
        showing.ask(Ok(scope("b", "")));
        assert_eq!(showing.error(), None);
    }

    #[test]
    fn rows_that_nobody_keeps_up_to_date_say_as_of_when_they_are() {
        let mut showing = showing(scope("", ""));
        let kv = KeyValue { key: "b".into(), mod_revision: 12, version: 1, ..KeyValue::default() };
        showing.apply(vec![Event { kind: EventType::Put, kv, prev_kv: None }]);
        for touch in [Touch { reached: false, led: true }, Touch { reached: true, led: false }] {
            let caption = showing.caption(touch).expect("there are rows");
            assert_eq!(caption.kind, Kind::Behind);
            assert!(caption.words.starts_with("All keys as of revision 12."), "{}", caption.words);
        }
    }

    #[test]
    fn a_members_own_copy_is_called_that() {
        let showing = showing(Scope::parse("", "", true).expect("it is good"));
        let caption = showing.caption(IN_TOUCH).expect("there are rows");
        assert_eq!(caption.words, "All keys in member 2’s own copy, live since revision 9.");
        assert_eq!(caption.answered, "Answered by member 2 in 3.0 ms.");
    }

    #[test]
    fn a_table_without_rows_says_why() {
        let mut empty = showing(scope("", ""));
        empty.read(scope("", ""), page(&[], false), answered());
        assert_eq!(empty.nothing(), Some("There are no keys yet. Put the first one."));
        empty.read(scope("", ""), page(&["a"], true), answered());
        assert_eq!((empty.nothing(), empty.count().as_deref()), (None, Some("1 of 2 keys")));
        let kv = KeyValue { key: "a".into(), mod_revision: 10, ..KeyValue::default() };
        empty.apply(vec![Event { kind: EventType::Delete, kv, prev_kv: None }]);
        assert_eq!(empty.nothing(), Some("The next keys are being read."));
        assert!(empty.wanted().is_some());
    }
}
