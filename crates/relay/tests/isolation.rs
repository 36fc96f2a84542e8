//! Whatever one connection sends, the others get what they would have got without it.
//!
//! The same run happens twice, once with a stranger in it. What the others get, less what the
//! stranger may lawfully say to them (that it is here, its report, its own peer frames), must
//! be the same.

use api::Bytes;
use api::frame::{Attach, Attachee, Frame, Presence, Route};
use api::identity::{Boot, ClusterId, Incarnation, RaftId};
use api::report::{MemberReport, Role};
use kvorum_relay::{Config, Guests, Input, Output, Relay};
use proptest::prelude::*;

const STRANGER: u64 = 99;
const ITS_NAME: &str = "stranger";

/// What the stranger does: frames of every kind, with names and numbers that the others use too,
/// frames that are damaged, and plain noise.
#[derive(Clone, Debug)]
enum Act {
    Open,
    /// Comes into the others' room, so that what follows is not all lost on the doorstep.
    Join(Vec<u8>),
    Close,
    Frame(Vec<u8>),
}

fn presence() -> impl Strategy<Value = Presence> {
    let name = prop_oneof![Just(ITS_NAME), Just("1")].prop_map(str::to_owned);
    let formed = prop_oneof![Just(None), Just(Some((ClusterId(2), RaftId(7))))];
    // Never a directory of the others: a newer socket of theirs would rightly replace them.
    (name, 50_u128..52, 1_u64..3, formed).prop_map(|(name, inc, counter, formed)| Presence {
        name,
        incarnation: Incarnation(inc),
        boot: Boot { counter, nonce: 5 },
        formed,
    })
}

fn attach() -> impl Strategy<Value = Frame<'static>> {
    let cluster = prop_oneof![Just("a"), Just("b"), Just("")].prop_map(str::to_owned);
    let who = prop_oneof![Just(Attachee::Console), presence().prop_map(Attachee::Member)];
    (cluster, who)
        .prop_map(|(cluster, who)| Frame::Attach(Attach { cluster, build: String::new(), who }))
}

fn route() -> impl Strategy<Value = Route> {
    let name = || prop_oneof![Just("1"), Just("2"), Just(ITS_NAME)].prop_map(str::to_owned);
    let names = (name(), name()).prop_map(|(from, to)| Route::Names { from, to });
    let members = (1_u64..3, 1_u64..4, 1_u64..4).prop_map(|(cluster, from, to)| Route::Members {
        cluster: ClusterId(cluster),
        from: RaftId(from),
        from_boot: Boot { counter: 1, nonce: 1 },
        to: RaftId(to),
        to_boot: Boot { counter: 1, nonce: 1 },
        counter: 1,
    });
    prop_oneof![names, members]
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let report = presence().prop_map(|p| {
        Frame::Report(MemberReport {
            name: p.name,
            cluster: p.formed.map(|(cluster, _)| cluster),
            raft: p.formed.map(|(_, raft)| raft),
            boot: p.boot,
            role: Role::Leader,
            leader: None,
            term: 1,
            commit: 1,
            applied: 1,
            revision: 1,
            peers: Vec::new(),
        })
    });
    let body: &'static [u8] = b"\x02body";
    let frame = prop_oneof![
        4 => attach(),
        1 => report,
        2 => route().prop_map(move |route| Frame::Peer { route, body }),
        1 => (0_u64..4).prop_map(move |session| Frame::Client { session, body }),
        1 => (0_u64..4).prop_map(move |session| Frame::Server { session, body }),
        1 => presence().prop_map(Frame::Present),
        1 => presence().prop_map(Frame::Gone),
        // Never naming the others' runs: to give a name away with all its members is lawful.
        1 => Just(Frame::Rebind { hosted: vec![("1".into(), Boot { counter: 2, nonce: 1 })] }),
        1 => Just(Frame::Rebound(Ok(()))),
    ];
    let damaged = (frame.prop_map(|f| f.encode()), any::<proptest::sample::Index>(), any::<u8>());
    prop_oneof![
        3 => damaged.clone().prop_map(|(bytes, _, _)| bytes),
        1 => damaged.prop_map(|(mut bytes, at, xor)| {
            let at = at.index(bytes.len());
            // Header and numbers stay, or damage could make it another's lawful frame.
            bytes.truncate(at + usize::from(xor % 2));
            bytes
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let whos = prop_oneof![Just(Attachee::Console), Just(Attachee::Member(its_run()))];
    let join = whos.prop_map(|who| {
        let attach = Attach { cluster: "a".into(), build: String::new(), who };
        Act::Join(Frame::Attach(attach).encode())
    });
    let frame = any_frame().prop_map(Act::Frame);
    prop_oneof![1 => Just(Act::Open), 1 => Just(Act::Close), 3 => join, 8 => frame]
}

fn its_run() -> Presence {
    Presence {
        name: ITS_NAME.into(),
        incarnation: Incarnation(50),
        boot: Boot { counter: 1, nonce: 5 },
        formed: None,
    }
}

fn run_of_others(number: u64) -> Presence {
    Presence {
        name: number.to_string(),
        incarnation: Incarnation(number.into()),
        boot: Boot { counter: 1, nonce: 1 },
        formed: Some((ClusterId(1), RaftId(number))),
    }
}

/// What the others do, in steps: two formed members and a console of room `a`.
fn others() -> Vec<Vec<Input>> {
    let frame = |conn, frame: Frame<'_>| Input::Frame { conn, bytes: frame.encode().into() };
    let attach = |conn, who| {
        let attach = Attach { cluster: "a".into(), build: String::new(), who };
        vec![Input::Opened { conn, guests: Guests::All }, frame(conn, Frame::Attach(attach))]
    };
    let peer = |from, to| {
        let boot = Boot { counter: 1, nonce: 1 };
        let (cluster, from_boot, to_boot) = (ClusterId(1), boot, boot);
        let (from, to) = (RaftId(from), RaftId(to));
        let route = Route::Members { cluster, from, from_boot, to, to_boot, counter: 1 };
        Frame::Peer { route, body: b"append" }
    };
    vec![
        attach(1, Attachee::Member(run_of_others(1))),
        attach(2, Attachee::Member(run_of_others(2))),
        attach(3, Attachee::Console),
        vec![frame(1, peer(1, 2))],
        vec![frame(3, Frame::Client { session: 1, body: b"get" })],
        vec![frame(1, Frame::Server { session: 1, body: b"answer" })],
        vec![Input::Closed { conn: 1 }],
        vec![frame(3, Frame::Client { session: 1, body: b"get" })],
        vec![frame(2, Frame::Server { session: 1, body: b"answer" })],
        vec![Input::Closed { conn: 3 }],
    ]
}

/// What the others get of what they themselves do.
fn drain(relay: &mut Relay, got: &mut Vec<Output>) {
    while let Some(output) = relay.poll() {
        match output {
            Output::Send { conn, ref frame } if conn != STRANGER && !of_stranger(frame) => {
                got.push(output);
            }
            Output::Close { conn, .. } if conn != STRANGER => got.push(output),
            Output::SaveBinding { ref name, .. } => {
                assert_ne!(name, "a", "the name of the others is at stake");
            }
            _ => {}
        }
    }
}

fn of_stranger(frame: &Bytes) -> bool {
    let its_own = |name: &str, boot: Boot| name == ITS_NAME || boot.nonce == 5;
    match Frame::decode(frame).expect("the relay sends frames") {
        Frame::Present(p) | Frame::Gone(p) => its_own(&p.name, p.boot),
        Frame::Report(r) => its_own(&r.name, r.boot),
        // Its sessions with the members, and its words to them by the name that it has.
        Frame::Client { body, .. } => body != b"get",
        Frame::Peer { route: Route::Names { .. }, .. } => true,
        _ => false,
    }
}

fn play(acts: &[Vec<Act>]) -> Vec<Output> {
    let bindings = [("a".to_owned(), ClusterId(1))].into();
    let mut relay = Relay::new(Config { bindings, ..Config::default() });
    let mut got = Vec::new();
    for (step, inputs) in others().into_iter().enumerate() {
        for input in inputs {
            relay.handle(as_asked(input, &got));
            drain(&mut relay, &mut got);
        }
        for act in acts.get(step).into_iter().flatten() {
            let frame =
                |bytes: &Vec<u8>| Input::Frame { conn: STRANGER, bytes: bytes.clone().into() };
            match act {
                Act::Open => relay.handle(Input::Opened { conn: STRANGER, guests: Guests::All }),
                Act::Close => relay.handle(Input::Closed { conn: STRANGER }),
                Act::Frame(bytes) => relay.handle(frame(bytes)),
                Act::Join(bytes) => {
                    relay.handle(Input::Closed { conn: STRANGER });
                    relay.handle(Input::Opened { conn: STRANGER, guests: Guests::All });
                    relay.handle(frame(bytes));
                }
            }
            drain(&mut relay, &mut got);
        }
    }
    got
}

/// A member answers under the number that it was asked by last.
fn as_asked(input: Input, got: &[Output]) -> Input {
    let Input::Frame { conn, bytes } = &input else { return input };
    let Ok(Frame::Server { body, .. }) = Frame::decode(bytes) else { return input };
    let asked = got.iter().rev().find_map(|output| match output {
        Output::Send { conn: to, frame } if to == conn => match Frame::decode(frame) {
            Ok(Frame::Client { session, .. }) => Some(session),
            _ => None,
        },
        _ => None,
    });
    let session = asked.expect("a member answers what it was asked");
    Input::Frame { conn: *conn, bytes: Frame::Server { session, body }.encode().into() }
}

/// Session numbers at a member count whoever opens one; their order is all that matters.
fn without_numbers(outputs: Vec<Output>) -> Vec<Output> {
    let plain = |output| match output {
        Output::Send { conn, frame } => match Frame::decode(&frame) {
            Ok(Frame::Client { body, .. }) => {
                let frame = Frame::Client { session: 0, body }.encode().into();
                Output::Send { conn, frame }
            }
            _ => Output::Send { conn, frame },
        },
        other => other,
    };
    outputs.into_iter().map(plain).collect()
}

proptest! {
    #[test]
    fn a_stranger_changes_nothing_for_the_others(
        acts in proptest::collection::vec(proptest::collection::vec(act(), 0..5), 0..10)
    ) {
        prop_assert_eq!(without_numbers(play(&acts)), without_numbers(play(&[])));
    }
}
