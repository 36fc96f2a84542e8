//! A real member on a real OPFS file, in a browser's Worker.
#![cfg(target_arch = "wasm32")]

use api::frame::{decode_body, encode_body};
use api::kv::{PutRequest, RangeRequest};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use js_sys::{Array, Object, Reflect, Uint8Array};
use kvorum_worker::{Disk, Host, Member};
use storage::{File, Log, Options};
use wal::{Batch, Record};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemSyncAccessHandle, WorkerGlobalScope,
};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A handle to an empty file of this name.
async fn open(name: &str) -> FileSystemSyncAccessHandle {
    let handle = reopen(name).await;
    handle.truncate_with_u32(0).expect("OPFS lets its owner cut a file");
    handle
}

async fn reopen(name: &str) -> FileSystemSyncAccessHandle {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let root = global.navigator().storage().get_directory();
    let root: FileSystemDirectoryHandle = wait(JsFuture::from(root)).await;
    let create = FileSystemGetFileOptions::new();
    create.set_create(true);
    let file = root.get_file_handle_with_options(name, &create);
    let file: FileSystemFileHandle = wait(JsFuture::from(file)).await;
    wait(JsFuture::from(file.create_sync_access_handle())).await
}

async fn wait<T: JsCast>(future: JsFuture) -> T {
    future.await.expect("OPFS is there in Chromium's Workers").unchecked_into()
}

#[wasm_bindgen_test]
async fn a_log_is_there_again() {
    let handle = open("log-test").await;
    let disk = Disk::on_handle(handle.clone());
    let (mut log, recovered) = Log::open(disk, Options::new(7)).expect("a new log opens");
    assert_eq!(recovered.entries, []);
    let payload = vec![9; 300_000];
    for index in 1..=5 {
        let record = Record::Append { index, payload: payload.clone().into() };
        let batch = Batch { number: recovered.next + index - 1, records: vec![record] };
        log.append(&batch).expect("there is room");
    }
    assert_eq!(log.sync().expect("OPFS flushes"), recovered.next + 4);
    handle.close();

    let handle = reopen("log-test").await;
    let disk = Disk::on_handle(handle.clone());
    let (_, recovered) = Log::open(disk, Options::new(8)).expect("the log opens again");
    assert_eq!(recovered.entries.len(), 5);
    assert!(recovered.entries.iter().all(|(_, entry)| entry.as_ref() == payload));
    handle.close();
}

#[wasm_bindgen_test]
async fn a_file_is_as_long_as_it_says() {
    let handle = open("file-test").await;
    let disk = Disk::on_handle(handle.clone());
    disk.write_at(10, b"abc").expect("there is room");
    assert_eq!(disk.len(), Ok(13));
    disk.set_len(100).expect("there is room");
    let mut bytes = [1; 20];
    assert_eq!(disk.read_at(5, &mut bytes), Ok(20));
    assert_eq!(&bytes[..8], b"\0\0\0\0\0abc");
    assert_eq!(disk.read_at(100, &mut bytes), Ok(0));
    handle.close();
    assert!(disk.sync().is_err(), "a closed handle refuses");
}

/// A host that notes what it is told.
struct Notes {
    host: Host,
    replies: Array,
    halted: Array,
}

fn host() -> Notes {
    let host = Object::new();
    let note = |name: &str, body: &str| {
        let list = Array::new();
        let function = js_sys::Function::new_with_args("list", body);
        let bound = function.call1(&JsValue::NULL, &list).expect("the body is a function");
        Reflect::set(&host, &name.into(), &bound).expect("an object takes properties");
        list
    };
    for name in ["send", "report", "formed", "wantSync", "left"] {
        note(name, "return (value) => list.push(value)");
    }
    let replies = note("reply", "return (session, body) => list.push(body)");
    let halted = note("halted", "return (reason) => list.push(reason)");
    Notes { host: host.unchecked_into(), replies, halted }
}

fn options() -> JsValue {
    js_sys::JSON::parse(r#"{"cluster":"default","member":"1","members":["1"]}"#)
        .expect("this is JSON")
}

fn ask(member: &mut Member, now: f64, id: u64, request: Request) {
    member.client(now, 1.0, &encode_body(&ClientMessage::Request { id, request }));
}

fn answer(notes: &Notes, at: u32) -> Response {
    let body = Uint8Array::new(&notes.replies.get(at)).to_vec();
    match decode_body(&body) {
        Ok(ServerMessage::Response { result: Ok(response), .. }) => response,
        other => panic!("no answer: {other:?}; halted: {:?}", notes.halted.to_vec()),
    }
}

/// Lets a cluster of one form and elect itself.
fn start(disk: &Disk) -> (Member, Notes, f64) {
    let notes = host();
    let mut member =
        Member::new(options(), disk, notes.host.clone().unchecked_into(), 0.0).expect("it starts");
    let mut now = 0.0;
    for _ in 0..60 {
        now += 50.0;
        member.sync(now);
        member.tick(now);
    }
    (member, notes, now)
}

#[wasm_bindgen_test]
async fn a_member_keeps_what_it_acknowledged() {
    let handle = open("member-test").await;
    let disk = Disk::on_handle(handle.clone());
    let (mut member, notes, now) = start(&disk);
    let put = PutRequest { key: "key1".into(), value: "value1".into(), ..PutRequest::default() };
    ask(&mut member, now, 1, Request::Put(put));
    assert_eq!(notes.replies.length(), 0, "nothing is acknowledged before it is synced");
    member.sync(now);
    assert!(matches!(answer(&notes, 0), Response::Put(put) if put.header.revision == 2));
    drop(member);
    handle.close();

    let handle = reopen("member-test").await;
    let (mut member, notes, now) = start(&Disk::on_handle(handle.clone()));
    let get = RangeRequest { key: "key1".into(), ..RangeRequest::default() };
    ask(&mut member, now, 1, Request::Range(get));
    member.sync(now);
    let Response::Range(range) = answer(&notes, 0) else { panic!("not a range") };
    assert_eq!(range.kvs[0].value.as_ref(), b"value1");
    assert_eq!(range.header.revision, 2);
    drop(member);
    handle.close();
}

#[wasm_bindgen_test]
fn a_wrong_start_is_refused_in_words() {
    let disk = Disk::in_memory();
    let wrong = js_sys::JSON::parse(r#"{"cluster":"a","member":"4","members":["1"]}"#)
        .expect("this is JSON");
    let refused = Member::new(wrong, &disk, host().host, 0.0);
    let text = format!("{:?}", JsValue::from(refused.err().expect("member 4 is none of them")));
    assert!(text.contains("is not one of the initial members"), "{text}");
}
