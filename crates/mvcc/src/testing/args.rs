//! The words of a command.

use std::error::Error;
use std::str::FromStr;

use api::Bytes;
use api::kv::{DeleteRangeRequest, PutRequest, RangeRequest, SortOrder, SortTarget};
use api::session::Request;
use goldenscript::{Argument, Command};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Words, and words with a value, in order. What is understood is taken out.
pub(super) struct Args(Vec<(String, Option<String>)>);

impl Args {
    pub(super) fn of(command: &Command) -> Self {
        let words = command.args.iter().map(|arg| match arg {
            Argument::KeyValue(name, value) => (name.clone(), Some(value.clone())),
            Argument::Positional(word) => (word.clone(), None),
            // The enum is open. Whatever comes is not understood, and refused in the end.
            other => (other.to_string(), None),
        });
        Self(words.collect())
    }

    /// The words of an operation in a transaction: no quotes there.
    pub(super) fn split(line: &str) -> Self {
        let word = |word: &str| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        };
        Self(line.split_whitespace().map(word).collect())
    }

    pub(super) fn pair(&mut self) -> Result<(String, Option<String>)> {
        if self.0.is_empty() {
            return Err("a word is missing".into());
        }
        Ok(self.0.remove(0))
    }

    pub(super) fn word(&mut self) -> Result<String> {
        match self.pair()? {
            (word, None) => Ok(word),
            (name, Some(_)) => Err(format!("{name}= is not expected here").into()),
        }
    }

    /// The size of a slice, or all at once.
    pub(super) fn slice(&mut self) -> Result<usize> {
        self.next().map_or(Ok(usize::MAX), |size| Ok(size.parse()?))
    }

    pub(super) fn next(&mut self) -> Option<String> {
        self.word().ok()
    }

    /// Takes `name` out; true if it was there.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let place = self.0.iter().position(|(word, value)| word == name && value.is_none());
        place.map(|place| self.0.remove(place)).is_some()
    }

    pub(super) fn option(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(word, value)| word == name && value.is_some())?;
        self.0.remove(place).1
    }

    pub(super) fn number<T: FromStr<Err: Error + 'static>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>> {
        Ok(self.option(name).map(|number| number.parse()).transpose()?)
    }

    /// The next word as a key or a range of them.
    pub(super) fn keys(&mut self) -> Result<(Bytes, Bytes)> {
        Ok(keys(&self.word()?))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(&self) -> Result<()> {
        match self.0.first() {
            Some((word, _)) => Err(format!("what is {word:?}?").into()),
            None => Ok(()),
        }
    }
}

/// Reads `a`, `a..c`, `a..` or `a*`.
pub(super) fn keys(word: &str) -> (Bytes, Bytes) {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    if let Some(prefix) = word.strip_suffix('*') {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        return (bytes(prefix), end.into());
    }
    match word.split_once("..") {
        None => (bytes(word), Bytes::new()),
        Some((key, "")) => (bytes(key), Bytes::from_static(&[0])),
        Some((key, end)) => (bytes(key), bytes(end)),
    }
}

/// Reads a request that is no transaction.
pub(super) fn request(name: &str, args: &mut Args) -> Result<Request> {
    Ok(match name {
        "put" => Request::Put(put(args)?),
        "get" => Request::Range(range(args)?),
        "del" => {
            let (key, range_end) = args.keys()?;
            let prev_kv = args.flag("prev_kv");
            Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv })
        }
        _ => return Err(format!("no command {name:?}").into()),
    })
}

fn put(args: &mut Args) -> Result<PutRequest> {
    let (key, value) = args.pair()?;
    let value = match args.number("size")? {
        Some(size) => vec![b'x'; size],
        None => value.unwrap_or_default().into_bytes(),
    };
    Ok(PutRequest {
        key: key.into_bytes().into(),
        value: value.into(),
        lease: args.number("lease")?.unwrap_or_default(),
        prev_kv: args.flag("prev_kv"),
        ignore_value: args.flag("ignore_value"),
        ignore_lease: args.flag("ignore_lease"),
    })
}

fn range(args: &mut Args) -> Result<RangeRequest> {
    let (key, range_end) = args.keys()?;
    let mut number = |name| -> Result<i64> { Ok(args.number(name)?.unwrap_or_default()) };
    Ok(RangeRequest {
        key,
        range_end,
        limit: number("limit")?,
        revision: number("rev")?,
        min_mod_revision: number("min_mod")?,
        max_mod_revision: number("max_mod")?,
        min_create_revision: number("min_create")?,
        max_create_revision: number("max_create")?,
        sort_order: match args.option("order").as_deref() {
            None => SortOrder::None,
            Some("asc") => SortOrder::Ascend,
            Some("desc") => SortOrder::Descend,
            Some(other) => return Err(format!("no order {other:?}").into()),
        },
        sort_target: match args.option("by").as_deref() {
            None | Some("key") => SortTarget::Key,
            Some("version") => SortTarget::Version,
            Some("create") => SortTarget::Create,
            Some("mod") => SortTarget::Mod,
            Some("value") => SortTarget::Value,
            Some(other) => return Err(format!("no target {other:?}").into()),
        },
        serializable: args.flag("serializable"),
        keys_only: args.flag("keys_only"),
        count_only: args.flag("count_only"),
    })
}
