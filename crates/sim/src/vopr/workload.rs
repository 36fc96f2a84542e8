//! What clients ask. No write is like another: its value, or the end of its range, holds the
//! request's number, so that an entry of the log tells whose it is.

use api::Bytes;
use api::kv::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest,
};
use api::maintenance::{AlarmAction, AlarmRequest};
use api::session::{ClientMessage, Request};
use api::watch::WatchRequest;

use super::life::Life;
use crate::invariants::watch_reliable::Watch;

/// Watches at once.
const WATCHES: usize = 6;

/// Requests, as clients make them.
impl Life {
    /// One client asks for something.
    pub(super) fn ask(&mut self) {
        let Some(client) = self.some_client() else { return };
        match self.random.between(0, 100) {
            0..40 => self.say(&client, Self::put),
            40..50 => self.say(&client, Self::delete),
            50..65 => self.say(&client, Self::txn),
            65..80 => self.say(&client, |life, _| life.range(false)),
            80..88 => self.say(&client, |life, _| life.range(true)),
            88..92 => self.say(&client, |life, _| life.old_range()),
            92..94 => self.say(&client, |life, _| life.compact()),
            94..96 => self.say(&client, |life, _| life.read_txn()),
            _ => self.watch(&client),
        }
    }

    /// A client at a place that runs, or the console.
    fn some_client(&mut self) -> Option<String> {
        let at = self.random.between(0, self.members.len() as u64 + 2) as usize;
        match self.members.get(at) {
            Some(place) => self.listens(place).then(|| place.clone()),
            None => self.console.clone(),
        }
    }

    fn say(&mut self, client: &str, make: impl FnOnce(&mut Self, u64) -> Request) {
        let request = make(self, self.history.next());
        self.request(client, request);
    }

    /// A client asks for this. The request's number.
    pub(super) fn request(&mut self, client: &str, request: Request) -> u64 {
        let id = self.history.ask(client, request.clone(), &self.invariants.truth);
        if !self.cluster.say(client, &ClientMessage::Request { id, request }) {
            // It never left: as a session that is lost when all that was told is heard.
            self.unheard.push(client.into());
        }
        id
    }

    pub(super) fn put(&mut self, id: u64) -> Request {
        let key = self.key();
        let prev_kv = self.random.in_1000(250);
        Request::Put(PutRequest { prev_kv, ..value_put(key, id) })
    }

    fn delete(&mut self, id: u64) -> Request {
        Request::DeleteRange(self.delete_range(id))
    }

    fn delete_range(&mut self, id: u64) -> DeleteRangeRequest {
        let (from, to) = (self.random.between(0, self.plan.keys), self.key_count());
        let last = if self.random.in_1000(700) { from } else { to.max(from) };
        // Behind the last key, before any other, and never the same twice.
        let range_end = format!("k{last}\0#{id}").into();
        let prev_kv = self.random.in_1000(250);
        DeleteRangeRequest { key: format!("k{from}").into(), range_end, prev_kv }
    }

    fn txn(&mut self, id: u64) -> Request {
        let mut compare = Vec::new();
        for _ in 0..self.random.between(0, 3) {
            compare.push(self.compare());
        }
        // Different keys: a transaction may not write one twice.
        let count = self.plan.keys;
        let (first, second) = (self.random.between(0, count), self.random.between(1, count));
        let key = |at: u64| Bytes::from(format!("k{}", at % count));
        let mut success = vec![RequestOp::Put(value_put(key(first), id))];
        if self.random.in_1000(500) {
            success.push(RequestOp::Put(value_put(key(first + second), id)));
        }
        success.push(RequestOp::Range(self.all_keys()));
        let failure = match self.random.between(0, 3) {
            0 => Vec::new(),
            1 => vec![RequestOp::Range(self.all_keys())],
            _ => vec![RequestOp::DeleteRange(self.delete_range(id))],
        };
        Request::Txn(TxnRequest { compare, success, failure })
    }

    fn compare(&mut self) -> Compare {
        use CompareResult as R;
        let revision = self.invariants.truth.model().revision();
        let near = revision - self.random.between(0, 20) as i64;
        let target = match self.random.between(0, 4) {
            0 => CompareTarget::Version(self.random.between(0, 3) as i64),
            1 => CompareTarget::Create(near),
            2 => CompareTarget::Mod(near),
            _ => CompareTarget::Value(format!("v{}", self.history.next() / 2).into()),
        };
        let results = [R::Equal, R::NotEqual, R::Greater, R::Less];
        let result = results[self.random.between(0, 4) as usize];
        let many = self.random.in_1000(250);
        let range_end = if many { self.all_keys().range_end } else { Bytes::new() };
        Compare { result, target, key: self.key(), range_end }
    }

    fn read_txn(&mut self) -> Request {
        let compare = vec![self.compare()];
        let ranges = || vec![RequestOp::Range(self.all_keys())];
        Request::Txn(TxnRequest { compare, success: ranges(), failure: ranges() })
    }

    pub(super) fn range(&mut self, serializable: bool) -> Request {
        let range = match self.random.between(0, 3) {
            0 => self.all_keys(),
            _ => RangeRequest { key: self.key(), ..RangeRequest::default() },
        };
        let count_only = self.random.in_1000(100);
        Request::Range(RangeRequest { serializable, count_only, ..range })
    }

    fn old_range(&mut self) -> Request {
        let newest = self.invariants.truth.model().revision();
        let revision = self.random.between(1, newest as u64 + 1) as i64;
        let serializable = self.random.in_1000(300);
        Request::Range(RangeRequest { revision, serializable, ..self.all_keys() })
    }

    /// Often of what is old, at times of everything, now and then of what is not there.
    fn compact(&mut self) -> Request {
        let newest = self.invariants.truth.model().revision();
        let back = match self.random.between(0, 4) {
            0 => 0,
            1 => self.random.between(0, 100) as i64 - 2,
            _ => self.random.between(0, 20) as i64,
        };
        let (revision, physical) = (newest - back, self.random.in_1000(500));
        Request::Compact(CompactRequest { revision, physical })
    }

    /// What an operator does about a lack of room: deletes, compacts, and clears the alarms.
    pub(super) fn make_room(&self) -> Vec<Request> {
        let (model, id) = (self.invariants.truth.model(), self.history.next());
        let range_end = format!("l#{id}").into();
        let delete = DeleteRangeRequest { key: "k".into(), range_end, prev_kv: false };
        let compact = CompactRequest { revision: model.revision(), physical: true };
        let clear = model.alarms().into_iter().map(|raised| {
            let (action, member_id) = (AlarmAction::Deactivate, raised.member_id);
            Request::Alarm(AlarmRequest { action, member_id, alarm: Some(raised.alarm) })
        });
        [Request::DeleteRange(delete), Request::Compact(compact)].into_iter().chain(clear).collect()
    }

    fn all_keys(&self) -> RangeRequest {
        let (key, range_end) = (Bytes::from_static(b"k"), Bytes::from_static(b"l"));
        RangeRequest { key, range_end, ..RangeRequest::default() }
    }

    /// A watch goes on that lost its session, or a new one begins.
    fn watch(&mut self, client: &str) {
        let watch = match self.orphans.pop() {
            Some(watch) => watch,
            None if self.watches.len() >= WATCHES => return,
            None => self.new_watch(),
        };
        self.begin_watch(client, watch);
    }

    /// A client asks for a watch.
    pub(super) fn begin_watch(&mut self, client: &str, watch: Watch) {
        let request = self.watches.create(client, watch);
        if !self.cluster.say(client, &ClientMessage::Watch(WatchRequest::Create(request))) {
            self.unheard.push(client.into());
        }
    }

    fn new_watch(&mut self) -> Watch {
        let newest = self.invariants.truth.model().revision();
        let from = match self.random.between(0, 3) {
            0 => None,
            1 => Some(self.random.between(1, newest as u64 + 1) as i64),
            _ => Some(newest + 1),
        };
        let (key, range_end) = match self.random.between(0, 3) {
            0 => (self.key(), Bytes::new()),
            _ => (Bytes::from_static(b"k"), Bytes::from_static(b"l")),
        };
        Watch::new(key, range_end, self.random.in_1000(300), from)
    }

    fn key(&mut self) -> Bytes {
        format!("k{}", self.random.between(0, self.plan.keys)).into()
    }

    fn key_count(&self) -> u64 {
        self.plan.keys - 1
    }
}

fn value_put(key: Bytes, id: u64) -> PutRequest {
    PutRequest { key, value: format!("v{id}").into(), ..PutRequest::default() }
}
