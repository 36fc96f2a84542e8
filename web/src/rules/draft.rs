//! What is in the form that puts a key: a key and a value, as text or in escapes. Whatever the
//! spelling, the bytes that come out are those that went in.

use api::Bytes;
use api::kv::KeyValue;

use crate::rules::bytes;

/// What is in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The key, as it is spelled.
    pub key: String,
    /// The value, as it is spelled.
    pub value: String,
    /// Both are spelled in escapes.
    pub escapes: bool,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The choice of escapes.
    Escapes,
}

/// What is wrong with a draft: where, and why in words.
pub type Wrong = (Field, String);

impl Draft {
    /// A pair, to be edited.
    pub fn of(kv: &KeyValue) -> Self {
        Self::text(&kv.key, &kv.value).unwrap_or_else(|| Self::escapes(&kv.key, &kv.value))
    }

    fn text(key: &[u8], value: &[u8]) -> Option<Self> {
        let (key, value) = (bytes::key_text(key)?.into(), bytes::value_text(value)?.into());
        Some(Self { key, value, escapes: false })
    }

    fn escapes(key: &[u8], value: &[u8]) -> Self {
        Self { key: bytes::escape(key), value: bytes::escape(value), escapes: true }
    }

    /// The bytes to put.
    pub fn pair(&self) -> Result<(Bytes, Bytes), Wrong> {
        let key = self.bytes(Field::Key, &self.key)?;
        if key.is_empty() {
            return Err((Field::Key, "A key has at least one character.".into()));
        }
        Ok((key, self.bytes(Field::Value, &self.value)?))
    }

    fn bytes(&self, field: Field, text: &str) -> Result<Bytes, Wrong> {
        if !self.escapes {
            return Ok(Bytes::copy_from_slice(text.as_bytes()));
        }
        bytes::unescape(text).map(Bytes::from).map_err(|wrong| (field, wrong))
    }

    /// The same bytes in the other spelling.
    pub fn respelled(&self, escapes: bool) -> Result<Self, Wrong> {
        let key = self.bytes(Field::Key, &self.key)?;
        let value = self.bytes(Field::Value, &self.value)?;
        if escapes {
            return Ok(Self::escapes(&key, &value));
        }
        let no_text =
            || (Field::Escapes, "These bytes are no text: only escapes show them.".into());
        Self::text(&key, &value).ok_or_else(no_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(key: &'static [u8], value: &'static [u8]) -> Draft {
        Draft::of(&KeyValue { key: key.into(), value: value.into(), ..KeyValue::default() })
    }

    #[test]
    fn what_is_edited_comes_back_unchanged() {
        let pairs: [(&[u8], &[u8]); 6] = [
            (b"key1", b"value1"),
            (b"json", br#"{"path": "C:\\x\n"}"#),
            (b"bin", b"\x00\xff\xfe\x01binary"),
            (b"k\xff\xfe", b"v\\x41"),
            (b"nl\nkey", b"two\r\nlines"),
            (b" ", b""),
        ];
        for (key, value) in pairs {
            let pair = (Bytes::from_static(key), Bytes::from_static(value));
            let draft = draft(key, value);
            assert_eq!(draft.pair(), Ok(pair.clone()));
            // A field of one line would lose a line end, any field a carriage return.
            assert!(!draft.key.contains(['\n', '\r']) && !draft.value.contains('\r'));
            let escaped = draft.respelled(true).expect("all bytes have escapes");
            assert_eq!(escaped.pair(), Ok(pair.clone()));
            if let Ok(text) = escaped.respelled(false) {
                assert_eq!(text.pair(), Ok(pair));
            }
        }
    }

    #[test]
    fn text_is_edited_as_text_and_bytes_in_escapes() {
        assert_eq!(draft(b"json", br"a\x41").value, r"a\x41");
        let binary = draft(b"bin", b"\\\xff");
        assert_eq!((binary.value.as_str(), binary.escapes), (r"\\\xff", true));
        let (field, _) = binary.respelled(false).expect_err("it is no text");
        assert_eq!(field, Field::Escapes);
    }

    #[test]
    fn what_is_wrong_is_told_of_the_field_that_it_is_in() {
        let field = |draft: Draft| draft.pair().map_err(|(field, _)| field).err();
        assert_eq!(field(Draft::default()), Some(Field::Key));
        let draft = |key: &str, value: &str, escapes| Draft {
            key: key.into(),
            value: value.into(),
            escapes,
        };
        assert_eq!(field(draft("a\\", "", true)), Some(Field::Key));
        assert_eq!(field(draft("a", "\\", true)), Some(Field::Value));
        assert_eq!(field(draft("a", "\\", false)), None);
    }
}
