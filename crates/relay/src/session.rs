//! What consoles ask members.
//!
//! A console numbers its sessions as it likes; the member sees a number that is its own link's.
//!
//! ```text
//!  console 7            room                      member 3
//!  Client{1, ..} ────► (7, 1) ⇄ (3, 12) ────► Client{12, ..}
//!  Server{1, ..} ◄──── (7, 1) ⇄ (3, 12) ◄──── Server{12, ..}
//! ```
//!
//! A session stays with its member until either side ends it or goes away. Bodies are not read,
//! but for their first byte: it tells the end of a session.

use std::collections::BTreeMap;

use api::error::Error;
use api::frame::Frame;
use api::limits;
use api::report::Role;

use crate::outputs::Outputs;
use crate::room::{Member, Room};

/// `ClientMessage::End`, in postcard.
const END: &[u8] = &[2];

/// The cluster that a page shows when its address names none.
const DEFAULT: &str = "default";

/// The first byte of every `ServerMessage::Lost`, in postcard.
const LOST: u8 = 2;

/// A console's sessions: the member's connection and the session's number there.
#[derive(Default)]
pub(crate) struct Seats(BTreeMap<u64, (u64, u64)>);

/// A member's sessions: the console's connection and the session's number there.
#[derive(Default)]
pub(crate) struct Calls {
    seats: BTreeMap<u64, (u64, u64)>,
    /// The highest number used; none is used twice.
    last: u64,
}

impl Room {
    /// A console speaks in a session; the first word opens it.
    pub(crate) fn ask(&mut self, console: u64, session: u64, body: &[u8], out: &mut Outputs) {
        let ends = body == END;
        let Some(seats) = self.consoles.get_mut(&console) else { return };
        let seat = match seats.0.get(&session) {
            Some(seat) => *seat,
            None if ends => return,
            None if seats.0.len() >= limits::CONSOLE_SESSIONS => {
                return out.lost(console, session, Error::TooManyRequests);
            }
            None => match self.open(console, session) {
                Ok(seat) => seat,
                Err(error) => return out.lost(console, session, error),
            },
        };
        let (member, number) = seat;
        if self.is_full(member) && !ends {
            // Neither is this passed on, nor may what follows it seem to follow what came before.
            out.send(member, &Frame::Client { session: number, body: END });
            self.end(console, session);
            return out.lost(console, session, Error::TooManyRequests);
        }
        out.send(member, &Frame::Client { session: number, body });
        if ends {
            self.end(console, session);
        }
    }

    fn open(&mut self, console: u64, session: u64) -> Result<(u64, u64), Error> {
        let conn = self.choose().ok_or_else(|| self.nobody())?;
        if self.is_full(conn) {
            return Err(Error::TooManyRequests);
        }
        let member = self.members.get_mut(&conn).expect("the chosen one is here");
        let calls = &mut member.calls;
        calls.last += 1;
        calls.seats.insert(calls.last, (console, session));
        let seat = (conn, calls.last);
        if let Some(seats) = self.consoles.get_mut(&console) {
            seats.0.insert(session, seat);
        }
        Ok(seat)
    }

    fn is_full(&self, member: u64) -> bool {
        self.members.get(&member).is_some_and(|member| member.full)
    }

    /// The member that is best off; among equals the one that is here longest. One that is full
    /// serves nobody more, if there is any other.
    fn choose(&self) -> Option<u64> {
        let rank = |conn: u64, member: &Member| (member.full, standing(member), conn);
        let best = self.members.iter().min_by_key(|(conn, member)| rank(**conn, member));
        best.map(|(conn, _)| *conn)
    }

    fn nobody(&self) -> Error {
        let (name, page) = (&self.name, &self.page);
        let query = if name == DEFAULT { String::new() } else { format!("?cluster={name}") };
        Error::Unavailable(format!(
            "no member of cluster {name:?} is connected: open {page}{query} in the browser that \
             holds it"
        ))
    }

    fn end(&mut self, console: u64, session: u64) {
        let seat = self.consoles.get_mut(&console).and_then(|seats| seats.0.remove(&session));
        let Some((conn, number)) = seat else { return };
        if let Some(member) = self.members.get_mut(&conn) {
            member.calls.seats.remove(&number);
        }
    }

    /// A member answers. A session that it does not have has ended meanwhile.
    pub(crate) fn answer(&mut self, conn: u64, number: u64, body: &[u8], out: &mut Outputs) {
        let Some(member) = self.members.get(&conn) else { return };
        let Some(&(console, session)) = member.calls.seats.get(&number) else { return };
        out.send(console, &Frame::Server { session, body });
        if body.first() == Some(&LOST) {
            self.end(console, session);
        }
    }

    /// As [`answer`](Self::answer), for an answer of several frames.
    pub(crate) fn answer_in_part(
        &self,
        conn: u64,
        number: u64,
        (last, body): (bool, &[u8]),
        out: &mut Outputs,
    ) {
        let Some(member) = self.members.get(&conn) else { return };
        let Some(&(console, session)) = member.calls.seats.get(&number) else { return };
        out.send(console, &Frame::Piece { session, last, body });
    }

    /// The member is gone: its consoles hear so.
    pub(crate) fn lose_sessions(&mut self, member: &Member, out: &mut Outputs) {
        for (console, session) in member.calls.seats.values() {
            if let Some(seats) = self.consoles.get_mut(console) {
                seats.0.remove(session);
            }
            let name = &member.presence.name;
            let text = format!(
                "member {name:?} went away before it answered; a write may or may not have happened"
            );
            out.lost(*console, *session, Error::Unavailable(text));
        }
    }

    /// The console is gone: its members hear so.
    pub(crate) fn remove_console(&mut self, console: u64, out: &mut Outputs) {
        let Some(seats) = self.consoles.remove(&console) else { return };
        for (conn, number) in seats.0.into_values() {
            if let Some(member) = self.members.get_mut(&conn) {
                member.calls.seats.remove(&number);
                out.send(conn, &Frame::Client { session: number, body: END });
            }
        }
    }
}

/// How well a member can serve; less is better.
fn standing(member: &Member) -> u8 {
    let formed = member.presence.formed.is_some();
    match member.report.as_ref().map(|(report, _)| report) {
        Some(report) => match report.role {
            Role::Refused(_) | Role::Halted(_) => 4,
            _ if !formed => 3,
            Role::Leader => 0,
            Role::Follower if report.leader.is_some() => 1,
            _ => 2,
        },
        None if formed => 2,
        None => 3,
    }
}

#[cfg(test)]
mod tests {
    use api::frame::encode_body;
    use api::session::{ClientMessage, ServerMessage};

    use super::*;

    #[test]
    fn ends_of_sessions_have_these_bytes() {
        assert_eq!(encode_body(&ClientMessage::End), END);
        assert_eq!(encode_body(&ServerMessage::Lost(Error::NoLeader)).first(), Some(&LOST));
    }
}
