//! The words of a transaction.

use std::collections::BTreeMap;
use std::error::Error;

use api::kv::{Compare, CompareResult, CompareTarget, RequestOp, TxnRequest};
use api::session::Request;

use super::args::{self, Args};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Reads `if … then … else …`. Each part may be missing.
pub(super) fn parse(args: &mut Args, defined: &BTreeMap<String, TxnRequest>) -> Result<TxnRequest> {
    let mut txn = TxnRequest::default();
    let mut part = String::new();
    while let Some(word) = args.next() {
        match (part.as_str(), word.as_str()) {
            (_, "if" | "then" | "else") => part = word,
            ("if", _) => txn.compare.push(compare(&word)?),
            ("then", _) => txn.success.extend(ops(&word, defined)?),
            ("else", _) => txn.failure.extend(ops(&word, defined)?),
            _ => return Err(format!("{word:?} stands before if, then and else").into()),
        }
    }
    Ok(txn)
}

/// Reads an operation. `N times put k` stands for N puts of k0, k1, …
fn ops(line: &str, defined: &BTreeMap<String, TxnRequest>) -> Result<Vec<RequestOp>> {
    if let Some((count, line)) = line.split_once(" times ") {
        let count: usize = count.parse()?;
        return (0..count).map(|n| op(&format!("{line}{n}"), defined)).collect();
    }
    Ok(vec![op(line, defined)?])
}

fn op(line: &str, defined: &BTreeMap<String, TxnRequest>) -> Result<RequestOp> {
    let mut args = Args::split(line);
    let name = args.word()?;
    if name == "txn" {
        let name = args.word()?;
        let txn = defined.get(&name).ok_or(format!("{name:?} is not defined"))?;
        return Ok(RequestOp::Txn(txn.clone()));
    }
    let op = match args::request(&name, &mut args)? {
        Request::Range(range) => RequestOp::Range(range),
        Request::Put(put) => RequestOp::Put(put),
        Request::DeleteRange(delete) => RequestOp::DeleteRange(delete),
        _ => return Err(format!("{name:?} is no operation of a transaction").into()),
    };
    args.finish()?;
    Ok(op)
}

/// Reads `mod(a..c) > 3`.
fn compare(text: &str) -> Result<Compare> {
    let wrong = || format!("{text:?} is no comparison");
    let (target, rest) = text.split_once('(').ok_or_else(wrong)?;
    let (keys, rest) = rest.split_once(')').ok_or_else(wrong)?;
    let (result, operand) = rest.trim_start().split_once(' ').ok_or_else(wrong)?;
    let (key, range_end) = args::keys(keys);
    let target = match target {
        "version" => CompareTarget::Version(operand.parse()?),
        "create" => CompareTarget::Create(operand.parse()?),
        "mod" => CompareTarget::Mod(operand.parse()?),
        "lease" => CompareTarget::Lease(operand.parse()?),
        "value" => CompareTarget::Value(operand.as_bytes().to_vec().into()),
        _ => return Err(wrong().into()),
    };
    let result = match result {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(wrong().into()),
    };
    Ok(Compare { result, target, key, range_end })
}
