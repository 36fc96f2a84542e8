//! Frames that no member sends.

use api::frame::{Frame, Route};
use goldenscript::ArgumentConsumer;
use node::testing::Forged;

use super::{PATIENCE_MS, Result, Runner, ends, list, number};
use crate::cluster::Cluster;

impl Runner {
    /// A raft message takes the place of the next real frame on its way.
    pub(super) fn forge(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<()> {
        let (from, to) = ends(args)?;
        let id = |cluster: &Cluster, name: &str| {
            cluster.trace.id_of(name).ok_or_else(|| format!("no id of {name} is known"))
        };
        let term = self.cluster.report(&to).map_or(0, |report| report.term);
        let named =
            |key: &str, args: &mut ArgumentConsumer<'_>, usual: &str| match args.take_key(key) {
                Some("stranger") => Ok(4242),
                Some(name) => id(&self.cluster, name),
                None => id(&self.cluster, usual),
            };
        let mut forged = Forged {
            kind: args.take_key("kind").ok_or("forge which kind?")?.to_string(),
            from: named("named_from", args, &from)?,
            to: named("named_to", args, &to)?,
            term: number(args, "term")?.unwrap_or(term),
            index: number(args, "index")?.unwrap_or(0),
            log_term: number(args, "log_term")?.unwrap_or(0),
            commit: number(args, "commit")?.unwrap_or(0),
            entries: Vec::new(),
            entry_type: args.take_key("entry_type").map_or(Ok(0), str::parse)?,
        };
        for entry in list(args.take_key("entries")) {
            let mut parts = entry.split(':');
            let mut part = || parts.next().unwrap_or("").to_string();
            let (term, index, data) = (part().parse()?, part().parse()?, part().into_bytes());
            forged.entries.push((term, index, data));
        }
        let body = forged.body().ok_or_else(|| format!("no kind {:?}", forged.kind))?;
        self.replace(&from, &to, &body)
    }

    /// Catches the next frame between two members and delivers another body in its place.
    pub(super) fn replace(&mut self, from: &str, to: &str, body: &[u8]) -> Result<()> {
        let until = self.cluster.now() + PATIENCE_MS;
        let bytes = self.cluster.catch(from, to, until).ok_or("no frame came to replace")?;
        match Frame::decode(&bytes) {
            Ok(Frame::Peer { route: route @ Route::Members { .. }, .. }) => {
                self.cluster.deliver(to, Frame::Peer { route, body }.encode());
                Ok(())
            }
            _ => Err("the frame that came is not between members".into()),
        }
    }
}
