//! What clients ask, and how many answers are awaited.

use api::kv::PutRequest;
use api::session::{ClientMessage, Request, ServerMessage};
use goldenscript::ArgumentConsumer;

use super::{Result, Runner, number, word};
use crate::request;

impl Runner {
    pub(super) fn ask(
        &mut self,
        verb: &str,
        client: &str,
        args: ArgumentConsumer<'_>,
    ) -> Result<String> {
        let raft_id = |member: &str| self.cluster.raft_id(member);
        let message = request::parse(verb, self.requests + 1, args, &raft_id)?;
        self.say(client, &message)?;
        Ok(String::new())
    }

    pub(super) fn puts(&mut self, client: &str, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let count: u64 = word(args)?.parse()?;
        let size = number(args, "size")?.unwrap_or(1) as usize;
        for n in 0..count {
            let (key, value) = (format!("k{n}").into(), vec![b'x'; size].into());
            let request = Request::Put(PutRequest { key, value, ..PutRequest::default() });
            self.say(client, &ClientMessage::Request { id: self.requests + 1, request })?;
        }
        Ok(())
    }

    fn say(&mut self, client: &str, message: &ClientMessage) -> Result<()> {
        if matches!(message, ClientMessage::Request { .. }) {
            self.requests += 1;
            self.open += 1;
        }
        match self.cluster.say(client, message) {
            true => Ok(()),
            false => Err(format!("there is no client {client:?}").into()),
        }
    }

    pub(super) fn count_answers(&mut self) {
        for (_, message) in std::mem::take(&mut self.cluster.replies) {
            self.open -= i64::from(matches!(message, ServerMessage::Response { .. }));
        }
    }
}
