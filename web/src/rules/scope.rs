//! Which keys are asked for: a prefix, now or at a past revision.

use api::Bytes;
use api::kv::RangeRequest;
use api::watch::WatchCreateRequest;

use crate::rules::text;

/// What a reading asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only keys that start with this.
    pub prefix: String,
    /// The revision to read at; `None` is now.
    pub revision: Option<i64>,
    /// Any member's own copy will do.
    pub serializable: bool,
}

impl Scope {
    /// Reads what was typed. The error is for the person who typed the revision.
    pub fn parse(prefix: &str, revision: &str, serializable: bool) -> Result<Self, String> {
        let revision = match revision.trim() {
            "" => None,
            text => match text.parse() {
                Ok(number) if number > 0 => Some(number),
                _ => return Err(format!("“{}” is no revision: {RULE}", text::short(text))),
            },
        };
        Ok(Self { prefix: prefix.into(), revision, serializable })
    }

    /// The first key of the range. etcd takes the byte 0 for "from the very first key".
    pub fn start(&self) -> Bytes {
        if self.prefix.is_empty() {
            Bytes::from_static(&[0])
        } else {
            Bytes::copy_from_slice(self.prefix.as_bytes())
        }
    }

    /// Asks for keys from one on.
    pub fn range(&self, key: Bytes, limit: usize) -> RangeRequest {
        RangeRequest {
            key,
            range_end: prefix_end(self.prefix.as_bytes()),
            limit: limit as i64,
            revision: self.revision.unwrap_or(0),
            serializable: self.serializable,
            ..RangeRequest::default()
        }
    }

    /// Asks for every change from a revision on.
    pub fn watch(&self, start_revision: i64) -> WatchCreateRequest {
        WatchCreateRequest {
            key: self.start(),
            range_end: prefix_end(self.prefix.as_bytes()),
            start_revision,
            ..WatchCreateRequest::default()
        }
    }

    /// The keys, in words.
    pub fn keys(&self) -> String {
        if self.prefix.is_empty() {
            "all keys".into()
        } else {
            format!("keys that start with “{}”", text::short(&self.prefix))
        }
    }

    /// The request, in words.
    pub fn read(&self) -> String {
        let at = self.revision.map_or_else(String::new, |r| format!(" at revision {r}"));
        format!("Read {}{at}", self.keys())
    }
}

const RULE: &str = "it is a whole number from 1 on, or nothing for now.";

/// The end of the range of all keys that start with `prefix`, as etcd's clients compute it: the
/// prefix with its last byte raised. No end (the byte 0) if every byte is the largest.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}

/// The smallest key after `key`.
pub fn key_after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_last_byte_is_raised() {
        assert_eq!(prefix_end(b"key"), Bytes::from_static(b"kez"));
        assert_eq!(prefix_end(b"a\xff\xff"), Bytes::from_static(b"b"));
        assert_eq!(prefix_end(b"\xff"), Bytes::from_static(&[0]));
        assert_eq!(prefix_end(b""), Bytes::from_static(&[0]));
    }

    #[test]
    fn a_revision_is_a_number_from_1_on_or_nothing() {
        let revision = |text| Scope::parse("", text, false).map(|scope| scope.revision);
        assert_eq!(revision(" "), Ok(None));
        assert_eq!(revision(" 4 "), Ok(Some(4)));
        for text in ["abc", "-5", "0", "1.5", "99999999999999999999"] {
            let wrong = revision(text).expect_err(text);
            assert!(wrong.starts_with(&format!("“{text}” is no revision")), "{wrong}");
        }
    }

    #[test]
    fn a_scope_says_what_it_is() {
        let scope = Scope::parse("key/", "4", false).expect("it is good");
        assert_eq!(scope.read(), "Read keys that start with “key/” at revision 4");
        assert_eq!(Scope::default().read(), "Read all keys");
        assert_eq!(Scope::default().start(), Bytes::from_static(&[0]));
    }
}
