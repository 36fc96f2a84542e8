//! A real member on a real OPFS file, in a browser's Worker.
#![cfg(target_arch = "wasm32")]

use api::Bytes;
use api::frame::{decode_body, encode_body};
use api::kv::{PutRequest, RangeRequest};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use kvorum_worker::{Disk, Host, Member, Options, Work};
use storage::{Directory, FIRST_FILE, File, Log, LogOptions};
use wal::{Batch, Record};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemGetDirectoryOptions, FileSystemRemoveOptions,
    WorkerGlobalScope,
};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen(module = "/opfs.js")]
extern "C" {
    /// What the host in a browser has.
    #[derive(Clone)]
    type OpfsFiles;

    #[wasm_bindgen(static_method_of = OpfsFiles, catch)]
    async fn open(directory: &FileSystemDirectoryHandle) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn close(this: &OpfsFiles);
}

/// The files of an empty directory of this name.
async fn empty(name: &str) -> OpfsFiles {
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    // There is none the first time.
    let _ = JsFuture::from(root().await.remove_entry_with_options(name, &options)).await;
    again(name).await
}

/// The files of a directory.
async fn again(name: &str) -> OpfsFiles {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    let directory = root().await.get_directory_handle_with_options(name, &options);
    let directory: FileSystemDirectoryHandle = wait(JsFuture::from(directory)).await;
    let files = OpfsFiles::open(&directory).await;
    files.expect("nobody else has it open").unchecked_into()
}

fn disk(files: &OpfsFiles) -> Disk {
    Disk::on_files(files.clone().unchecked_into())
}

async fn root() -> FileSystemDirectoryHandle {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    wait(JsFuture::from(global.navigator().storage().get_directory())).await
}

async fn wait<T: JsCast>(future: JsFuture) -> T {
    future.await.expect("OPFS is there in Chromium's Workers").unchecked_into()
}

async fn pause() {
    let pause = Promise::new(&mut |resolve, _| {
        let global: WorkerGlobalScope = js_sys::global().unchecked_into();
        let set = global.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, 5);
        set.expect("a Worker has timers");
    });
    let _ = JsFuture::from(pause).await;
}

#[wasm_bindgen_test]
async fn a_log_is_there_again() {
    let files = empty("log-test").await;
    let (mut log, recovered) = Log::open(disk(&files), LogOptions::new(7, 1024)).expect("opens");
    assert_eq!(recovered.entries, []);
    let payload = vec![9; 300_000];
    for index in 1..=5 {
        let record = Record::Append { index, payload: payload.clone().into() };
        let batch = Batch { number: recovered.next + index - 1, records: vec![record] };
        log.append(&batch).expect("there is room");
    }
    assert_eq!(log.sync().expect("OPFS flushes"), recovered.next + 4);
    drop(log);
    files.close();

    let files = again("log-test").await;
    let (_, recovered) = Log::open(disk(&files), LogOptions::new(8, 1024)).expect("opens again");
    assert_eq!(recovered.entries.len(), 5);
    assert!(recovered.entries.iter().all(|(_, entry)| entry.as_ref() == payload));
    files.close();
}

#[wasm_bindgen_test]
async fn a_file_is_as_long_as_it_says() {
    let files = empty("file-test").await;
    let file = disk(&files).open(FIRST_FILE).expect("OPFS opens it").expect("at once");
    file.write_at(10, b"abc").expect("there is room");
    assert_eq!(file.len(), Ok(13));
    file.set_len(100).expect("there is room");
    let mut bytes = [1; 20];
    assert_eq!(file.read_at(5, &mut bytes), Ok(20));
    assert_eq!(&bytes[..8], b"\0\0\0\0\0abc");
    assert_eq!(file.read_at(100, &mut bytes), Ok(0));
    files.close();
    assert!(file.sync().is_err(), "a closed handle refuses");
}

#[wasm_bindgen_test]
async fn other_files_are_opened_in_time_and_removed_when_nobody_uses_them() {
    let files = empty("names-test").await;
    let disk = disk(&files);
    let file = loop {
        match disk.open("store-00000001").expect("OPFS opens it") {
            Some(file) => break file,
            None => pause().await,
        }
    };
    file.write_at(0, b"abc").expect("there is room");
    let mut names = disk.names().expect("OPFS lists them");
    names.sort();
    assert_eq!(names, [FIRST_FILE, "store-00000001"]);
    disk.remove("store-00000001").expect("OPFS removes it");
    let mut bytes = [0; 3];
    assert_eq!(file.read_at(0, &mut bytes), Ok(3), "it is still read");
    drop(file);
    assert_eq!(disk.names().expect("OPFS lists them"), [FIRST_FILE]);
    // The same name, at once: another file.
    let file = loop {
        match disk.open("store-00000001").expect("OPFS opens it") {
            Some(file) => break file,
            None => pause().await,
        }
    };
    assert_eq!(file.len(), Ok(0));
    files.close();
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
    for name in ["send", "report", "formed", "wantSync", "wantWork", "left"] {
        note(name, "return (value) => list.push(value)");
    }
    let replies = note("reply", "return (session, body) => list.push(body)");
    let halted = note("halted", "return (reason) => list.push(reason)");
    Notes { host: host.unchecked_into(), replies, halted }
}

fn options(member: &str) -> Options {
    let text = format!(r#"{{"cluster":"default","member":"{member}","members":["1"]}}"#);
    js_sys::JSON::parse(&text).expect("this is JSON").unchecked_into()
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
    let mut member = Member::new(&options("1"), disk, notes.host.clone().unchecked_into(), 0.0)
        .expect("it starts");
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
    let files = empty("member-test").await;
    let (mut member, notes, now) = start(&disk(&files));
    let put = PutRequest { key: "key1".into(), value: "value1".into(), ..PutRequest::default() };
    ask(&mut member, now, 1, Request::Put(put));
    assert_eq!(notes.replies.length(), 0, "nothing is acknowledged before it is synced");
    assert!(!member.sync(now), "and there is room");
    assert!(matches!(answer(&notes, 0), Response::Put(put) if put.header.revision == 2));
    drop(member);
    files.close();

    let files = again("member-test").await;
    let (mut member, notes, now) = start(&disk(&files));
    let get = RangeRequest { key: "key1".into(), ..RangeRequest::default() };
    ask(&mut member, now, 1, Request::Range(get));
    member.sync(now);
    let Response::Range(range) = answer(&notes, 0) else { panic!("not a range") };
    assert_eq!(range.kvs[0].value.as_ref(), b"value1");
    assert_eq!(range.header.revision, 2);
    drop(member);
    files.close();
}

#[wasm_bindgen_test]
async fn what_is_moved_below_memory_is_there_again() {
    let files = empty("store-test").await;
    let (mut member, notes, mut now) = start(&disk(&files));
    // More than a Worker keeps in memory before it moves it.
    let value = Bytes::from(vec![7; 60_000]);
    for id in 1..=30 {
        let (key, value) = (format!("key{id:02}").into(), value.clone());
        ask(&mut member, now, id, Request::Put(PutRequest { key, value, ..<_>::default() }));
        member.sync(now);
    }
    assert_eq!(notes.replies.length(), 30);
    let mut moved = false;
    for _ in 0..2000 {
        now += 1.0;
        match member.work(now) {
            Work::More => moved = true,
            Work::Waiting => pause().await,
            Work::Done if moved => break,
            Work::Done => {}
        }
        member.sync(now);
    }
    let names = disk(&files).names().expect("OPFS lists them");
    assert!(moved && names.contains(&"store-00000001".to_owned()), "{names:?}");
    drop(member);
    files.close();

    let files = again("store-test").await;
    let (mut member, notes, now) = start(&disk(&files));
    let (key, range_end) = ("key".into(), "kez".into());
    let get = RangeRequest { key, range_end, ..RangeRequest::default() };
    ask(&mut member, now, 1, Request::Range(get));
    member.sync(now);
    let Response::Range(range) = answer(&notes, 0) else { panic!("not a range") };
    assert_eq!((range.count, range.header.revision), (30, 31));
    assert!(range.kvs.iter().all(|kv| kv.value == value));
    drop(member);
    files.close();
}

#[wasm_bindgen_test]
fn a_wrong_start_is_refused_in_words() {
    let disk = Disk::in_memory();
    let refused = Member::new(&options("4"), &disk, host().host, 0.0);
    let text = format!("{:?}", JsValue::from(refused.err().expect("member 4 is none of them")));
    assert!(text.contains("is not one of the initial members"), "{text}");
    let empty = Object::new().unchecked_into();
    let refused = Member::new(&empty, &disk, host().host, 0.0);
    let text = format!("{:?}", JsValue::from(refused.err().expect("nothing is said")));
    assert!(text.contains("have no cluster"), "{text}");
}
