//! What clients asked and were answered, held against the order that a watch saw.
//!
//! The simulator's check is the judge: see `strict_serializability` there. It wants the order of
//! all writes. Each write here makes one revision, in which it puts a value like no other, so a
//! watch from the first revision on gives it. (What the watch must see is judged, too.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::Bytes;
use api::kv::{RangeRequest, RangeResponse};
use api::session::{Request, Response};
use api::watch::Event;
use sim::invariants::Violation;
use sim::invariants::strict_serializability::History;
use sim::truth::Truth;

/// What callers did, in the order of time. A clone goes on with the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Act>>>);

#[derive(Debug)]
enum Act {
    /// A request, and the value that it puts, if any.
    Asked {
        caller: String,
        value: Option<Bytes>,
        request: Request,
    },
    /// No answer, or an error: it may have been done.
    Failed {
        caller: String,
    },
    Answered {
        caller: String,
        response: Response,
    },
}

impl Record {
    /// Before a request is sent.
    pub(crate) fn asked(&self, caller: &str, value: Option<Bytes>, request: Request) {
        self.acts().push(Act::Asked { caller: caller.into(), value, request });
    }

    /// After its answer has come.
    pub(crate) fn answered(&self, caller: &str, response: Response) {
        self.acts().push(Act::Answered { caller: caller.into(), response });
    }

    /// It ended otherwise.
    pub(crate) fn failed(&self, caller: &str) {
        self.acts().push(Act::Failed { caller: caller.into() });
    }

    fn acts(&self) -> MutexGuard<'_, Vec<Act>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all answers fit what the watch saw, from revision 2 on.
    pub(crate) fn check(&self, seen: Vec<Vec<Event>>) -> Result<Judged, String> {
        let mut judge = Judge { seen, ..Judge::default() };
        for act in self.acts().drain(..) {
            judge.take(act)?;
        }
        while judge.truth.model().revision() <= judge.seen.len() as i64 {
            judge.commit()?;
        }
        let answered = judge.history.answered;
        Ok(Judged { truth: judge.truth, answered })
    }
}

/// A history that is right.
pub(crate) struct Judged {
    truth: Truth,
    pub(crate) answered: u64,
}

impl Judged {
    /// The last revision.
    pub(crate) fn revision(&self) -> i64 {
        self.truth.model().revision()
    }

    /// What a member must answer to this at the last revision.
    pub(crate) fn read(&self, range: RangeRequest) -> RangeResponse {
        match self.truth.model().read_at(&Request::Range(range), self.revision()) {
            Response::Range(response) => response,
            _ => unreachable!("a range is read"),
        }
    }
}

#[derive(Debug, Default)]
struct Judge {
    seen: Vec<Vec<Event>>,
    asked: BTreeMap<Bytes, Request>,
    truth: Truth,
    history: History,
    open: BTreeMap<String, u64>,
}

impl Judge {
    fn take(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Asked { caller, value, request } => {
                if let Some(value) = value {
                    self.asked.insert(value, request.clone());
                }
                let id = self.history.ask(&caller, request, &self.truth);
                self.open.insert(caller, id);
            }
            Act::Failed { caller } => self.history.lost(&caller),
            Act::Answered { caller, response } => {
                let revision = response.header().revision;
                while self.truth.model().revision() < revision {
                    self.commit()?;
                }
                let id = self.open.remove(&caller).unwrap_or_default();
                let answered = self.history.answered(&caller, id, Ok(response), &self.truth);
                answered.map_err(text)?;
            }
        }
        Ok(())
    }

    /// The next revision.
    fn commit(&mut self) -> Result<(), String> {
        let revision = self.truth.model().revision() + 1;
        let Some(events) = self.seen.get(revision as usize - 2) else {
            return Err(format!("revision {revision} was acknowledged, and is nowhere"));
        };
        let value = events.iter().find_map(|event| self.asked.get(&event.kv.value));
        let Some(request) = value.cloned() else {
            return Err(format!("nobody asked for revision {revision}: {events:?}"));
        };
        if !self.truth.append(0, 0, Some(request)) {
            return Err(format!("revision {revision} repeats an earlier one: {events:?}"));
        }
        let entry = self.truth.at(self.truth.last()).expect("it was just appended");
        self.history.committed(self.truth.last(), entry).map_err(text)?;
        let right = self.truth.model().events(&Bytes::new(), &vec![0].into(), revision, revision);
        let right: Vec<Event> =
            right.into_iter().map(|event| Event { prev_kv: None, ..event.clone() }).collect();
        match right == *events {
            true => Ok(()),
            false => Err(format!("at {revision} a watch saw {events:?}, not {right:?}")),
        }
    }
}

fn text(violation: Violation) -> String {
    format!("{}: {}", violation.property, violation.text)
}
