//! Bytes as people read them.

use api::Bytes;

/// Characters of a value that a row shows.
pub const VALUE_CHARS: usize = 2000;

/// Bytes, made readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The text, or the bytes in escapes.
    pub text: String,
    /// The bytes are no text: what is shown is `\x` escapes.
    pub escaped: bool,
    /// Bytes in all, if the text was cut.
    pub cut_from: Option<usize>,
}

/// Text as it is; anything else in escapes as Rust and C write them.
pub fn readable(bytes: &[u8]) -> Readable {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_unseen) => {
            Readable { text: text.into(), escaped: false, cut_from: None }
        }
        _ => Readable { text: escape(bytes), escaped: true, cut_from: None },
    }
}

/// The same, of a value that may be too long to show.
pub fn readable_value(bytes: &[u8]) -> Readable {
    // A character has at most four bytes, so this never cuts what would have fitted.
    let head = &bytes[..bytes.len().min(VALUE_CHARS * 4)];
    let whole = match std::str::from_utf8(head) {
        // The cut may have split a character: leave its half out.
        Err(e) if head.len() < bytes.len() && e.error_len().is_none() => &head[..e.valid_up_to()],
        _ => head,
    };
    let mut shown = readable(whole);
    let cut = shown.text.char_indices().nth(VALUE_CHARS).map(|(at, _)| at);
    if let Some(at) = cut {
        shown.text.truncate(at);
    }
    if cut.is_some() || whole.len() < bytes.len() {
        shown.cut_from = Some(bytes.len());
    }
    shown
}

/// The text that a form can hold and give back unchanged.
pub fn editable(bytes: &[u8]) -> Option<String> {
    let shown = readable(bytes);
    (!shown.escaped).then_some(shown.text)
}

/// Line ends and tabs show well; other control characters, and those that turn the direction of
/// what follows, would hide what a key or value really is.
fn is_unseen(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The end of the range of all keys that start with `prefix`, as etcd's clients compute it: the
/// prefix with its last byte raised. No end (the byte 0) if every byte is the largest.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}

/// First key of the range of a prefix. etcd takes the byte 0 for "from the very first key".
pub fn prefix_start(prefix: &[u8]) -> Bytes {
    if prefix.is_empty() { Bytes::from_static(&[0]) } else { Bytes::copy_from_slice(prefix) }
}

/// The smallest key after `key`.
pub fn key_after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

/// A size in the unit that reads best.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A time in the unit that reads best.
pub fn millis(ms: f64) -> String {
    if ms < 100.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

/// `member 1`, `members 1 and 2`, `members 1, 2 and 3`.
pub fn members(names: &[String]) -> String {
    match names {
        [] => "no member".into(),
        [one] => format!("member {one}"),
        [head @ .., last] => format!("members {} and {last}", head.join(", ")),
    }
}

/// With its first letter large.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shows_as_it_is_and_bytes_in_escapes() {
        assert_eq!(readable("grün\n".as_bytes()).text, "grün\n");
        let bytes = readable(&[0, b'a', 0xff]);
        assert_eq!((bytes.text.as_str(), bytes.escaped), (r"\x00a\xff", true));
    }

    #[test]
    fn characters_that_turn_the_text_around_are_escaped() {
        assert!(readable("a\u{202e}b".as_bytes()).escaped);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let exact = "ä".repeat(VALUE_CHARS);
        assert_eq!(readable_value(exact.as_bytes()).cut_from, None);
        let long = format!("{exact}ä");
        let shown = readable_value(long.as_bytes());
        assert_eq!((shown.text, shown.cut_from), (exact, Some(long.len())));
        // Three-byte characters: the cut of the bytes falls inside of one.
        let long = "€".repeat(VALUE_CHARS * 2);
        assert!(!readable_value(long.as_bytes()).escaped);
    }

    #[test]
    fn a_prefix_ends_where_its_last_byte_is_raised() {
        assert_eq!(prefix_end(b"key"), Bytes::from_static(b"kez"));
        assert_eq!(prefix_end(b"a\xff\xff"), Bytes::from_static(b"b"));
        assert_eq!(prefix_end(b"\xff"), Bytes::from_static(&[0]));
        assert_eq!(prefix_end(b""), Bytes::from_static(&[0]));
    }

    #[test]
    fn lists_of_members_read_as_a_sentence() {
        let names = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
        assert_eq!(members(&names[..1]), "member 1");
        assert_eq!(members(&names[..2]), "members 1 and 2");
        assert_eq!(members(&names), "members 1, 2 and 3");
        assert_eq!(sentence(&members(&names[1..])), "Members 2 and 3");
    }

    #[test]
    fn units_fit_the_amount() {
        assert_eq!(
            (size(12), size(1536), size(1_572_864)),
            ("12 bytes".into(), "1.5 KiB".into(), "1.5 MiB".into())
        );
        assert_eq!((millis(1.24), millis(7000.0)), ("1.2 ms".into(), "7.0 s".into()));
    }
}
