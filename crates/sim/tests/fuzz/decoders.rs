//! Frames, commands and snapshots: what peers and clients send.

use std::fmt::Debug;

use api::Bytes;
use api::frame::{
    Attach, Attachee, CloseCode, Frame, PeerBody, Route, VERSION, decode_body, encode_body,
};
use api::identity::{Boot, ClusterId, RaftId};
use api::kv::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use api::session::{ClientMessage, Request, ServerMessage};
use api::watch::{WatchCreateRequest, WatchRequest};
use mvcc::base::Summary;
use mvcc::job::{Done, Job, Source};
use mvcc::{Store, piece};
use node::testing;
use storage::{Keeper, KeeperOptions, MemDirectory, Progress, SharedBase};

use crate::harness::{Reader, with_length};

/// A value that was read is read again from what it writes.
fn again<'a, T>(value: &T, written: &'a [u8])
where
    T: PartialEq + Debug + serde::de::Deserialize<'a>,
{
    let read = decode_body::<T>(written).expect("what is written can be read");
    assert_eq!(read, *value);
}

/// Frames of all kinds.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let route = Route::Members {
        cluster: ClusterId(7),
        from: RaftId(1),
        from_boot: Boot { counter: 1, nonce: 2 },
        to: RaftId(3),
        to_boot: Boot { counter: 2, nonce: 9 },
        counter: 5,
    };
    let attach = Attach { cluster: "c".into(), build: "b".into(), who: Attachee::Console };
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    let txn = TxnRequest { success: vec![RequestOp::Put(put.clone())], ..TxnRequest::default() };
    let range = RangeRequest { key: "a".into(), range_end: "z".into(), ..RangeRequest::default() };
    let requests = [Request::Put(put), Request::Range(range), Request::Txn(txn), Request::Status];
    let requests = requests.map(|request| ClientMessage::Request { id: 1, request });
    let watch = WatchCreateRequest { key: "k".into(), ..WatchCreateRequest::default() };
    let watch = ClientMessage::Watch(WatchRequest::Create(watch));
    let error = ServerMessage::Response { id: 4, result: Err(api::Error::NoSpace) };
    let raft = encode_body(&PeerBody::Raft(vec![b"message"]));
    let forward = encode_body(&PeerBody::Forward { term: 3, commands: vec![b"command"] });
    let bodies: Vec<_> = requests.iter().chain([&watch]).map(encode_body).collect();
    let mut frames = vec![
        Frame::Attach(attach).encode(),
        Frame::Peer { route: route.clone(), body: &raft }.encode(),
        Frame::Peer { route, body: &forward }.encode(),
        Frame::Server { session: 1, body: &encode_body(&error) }.encode(),
        Frame::Piece { session: 1, last: true, body: b"piece" }.encode(),
        Frame::Refused { code: CloseCode::Slow, reason: "slow".into() }.encode(),
    ];
    frames.extend(bodies.iter().map(|body| Frame::Client { session: 1, body }.encode()));
    frames
}

/// A frame, and the body in it.
pub(crate) fn frame(input: &[u8]) -> String {
    let frame = match Frame::decode(input) {
        Ok(frame) => frame,
        Err(error) => return error.to_string(),
    };
    let written = frame.encode();
    assert_eq!((written[0], Frame::decode(&written).as_ref()), (VERSION, Ok(&frame)));
    let body = match &frame {
        Frame::Peer { body, .. } => kind(decode_body::<PeerBody<'_>>(body).map(|read| {
            again(&read, &encode_body(&read));
            format!("{read:?}")
        })),
        Frame::Client { body, .. } => kind(decode_body::<ClientMessage>(body).map(|read| {
            again(&read, &encode_body(&read));
            format!("{read:?}")
        })),
        Frame::Server { body, .. } => kind(decode_body::<ServerMessage>(body).map(|read| {
            again(&read, &encode_body(&read));
            format!("{read:?}")
        })),
        _ => String::new(),
    };
    kind::<String>(Ok(format!("{frame:?}"))) + &body
}

/// The names in it: what kind of value it is, whatever bytes and numbers it holds.
fn kind<E: ToString>(read: Result<String, E>) -> String {
    let text = match read {
        Ok(text) => text,
        Err(error) => return error.to_string(),
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.len() > 2 && word.starts_with(char::is_uppercase)).collect()
}

/// Commands of all kinds.
pub(crate) fn commands() -> Vec<Vec<u8>> {
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    vec![
        testing::put_command(RaftId(1), 2, 3, put),
        testing::bad_command(RaftId(1), 2, 3),
        with_nested_transactions(20),
    ]
}

/// A command whose transaction holds one that holds one, and so on.
fn with_nested_transactions(depth: usize) -> Vec<u8> {
    // No guards, one operation, which is a transaction: see `bad_command` for what is before it.
    let command = testing::bad_command(RaftId(1), 2, 3);
    let end = command.len() - 1;
    [&command[..end.min(20)], &[0, 1, 3].repeat(depth), &command[end.min(20)..]].concat()
}

/// What a log's entry holds.
pub(crate) fn command(input: &[u8]) -> String {
    let shown = testing::show_command(input);
    let Some((_, request)) = testing::request_of(input) else { return shown };
    let text = format!("{request:?}");
    kind::<String>(Ok(text))
}

/// A store in one piece, and its summary; and parts of a larger one.
pub(crate) fn snapshots() -> Vec<Vec<u8>> {
    let mut store = Store::new();
    let mut inputs = vec![with_length(&[])];
    for n in 0..6 {
        let key: Bytes = format!("k{}", n % 4).into();
        store.put(&PutRequest { key, value: "value".into(), ..Default::default() }).expect("puts");
        let delete = DeleteRangeRequest { key: "k1".into(), ..Default::default() };
        store.delete_range(&delete).expect("deletes");
        let (rows, summary) = in_one_piece(&store);
        inputs.push([with_length(&rows), with_length(&summary)].concat());
    }
    inputs
}

const OPTIONS: KeeperOptions =
    KeeperOptions { cache_bytes: 256 * 1024, step_rows: 100, job_steps: 4, reserve_bytes: 0 };

fn run_job(keeper: &mut Keeper<MemDirectory>, job: Job) -> Done {
    keeper.begin(job);
    loop {
        match keeper.step().expect("memory takes it") {
            Progress::Done(done) => return done,
            Progress::More | Progress::Waiting => {}
        }
    }
}

fn in_one_piece(store: &Store) -> (Bytes, Vec<u8>) {
    let mut store = store.clone();
    let (mut keeper, _) = Keeper::open(MemDirectory::new(), OPTIONS, None).expect("it is empty");
    let run = store.freeze(Bytes::new()).expect("nothing is on its way");
    let Done::Base(base) = run_job(&mut keeper, Job::Move { generation: 1, run }) else {
        panic!("it is not moved");
    };
    let piece = piece::read_piece(&*base, mvcc::Revision::first(0), usize::MAX).expect("reads");
    (piece.rows, base.summary().encode())
}

/// A piece of a snapshot and a summary, as a peer sends them.
pub(crate) fn snapshot(input: &[u8]) -> String {
    let mut reader = Reader(input);
    let rows = Bytes::copy_from_slice(reader.bytes());
    let summary = Summary::decode(reader.bytes());
    let read = piece::rows_of(&rows).map(|rows| rows.len());
    let (Ok(_), Ok(summary)) = (&read, &summary) else {
        let text = |damage: &mvcc::base::Damage| damage.0.clone();
        return format!(
            "{:?} {:?}",
            read.as_ref().err().map(text),
            summary.err().map(|d| text(&d))
        );
    };
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(summary));
    let base = match arrive(rows.clone(), summary.clone()) {
        Ok(base) => base,
        Err(refused) => {
            // It counts its bytes wrong: and if it counted them right?
            let found = refused.strip_prefix("it has ").and_then(|rest| rest.split(' ').next());
            let Some(bytes) = found.and_then(|found| found.parse().ok()) else { return refused };
            match arrive(rows, Summary { bytes, ..summary.clone() }) {
                Ok(base) => base,
                Err(refused) => return refused,
            }
        }
    };
    // It passed: then it can be read, or says what is wrong with it.
    let store = Store::on(base);
    let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
    let read = store.range(&all).map(|read| "r".repeat(read.kvs.len().min(9)));
    format!("{read:?} {:?}", store.hash(0).map(|_| ()))
}

/// A snapshot of one piece. Why it is not taken, if it is not: what is no row is damage, and ends
/// the member in words.
fn arrive(rows: Bytes, summary: Summary) -> Result<SharedBase, String> {
    let (mut keeper, _) = Keeper::open(MemDirectory::new(), OPTIONS, None).expect("it is empty");
    run_job(&mut keeper, Job::Begin { generation: 1, from: Source::Peer });
    keeper.begin(Job::Fill(rows));
    loop {
        match keeper.step() {
            Ok(Progress::Done(Done::Ready)) => break,
            Ok(Progress::Done(done)) => return Err(format!("{done:?}")),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    match run_job(&mut keeper, Job::Finish { summary: Some(summary) }) {
        Done::Finished(base) => Ok(base),
        Done::Refused(reason) => Err(reason),
        other => panic!("it is neither taken nor refused: {other:?}"),
    }
}
