//! Bytes as people read and write them.
//!
//! Text stands as it is. What is no text, or would hide what it is, is spelled in escapes: `\xff`
//! is a byte, `\n`, `\r` and `\t` are what they are everywhere, `\\` is a backslash, and all else
//! is itself. [`unescape`] gives back exactly the bytes that [`escape`] was given.

use std::fmt::Write as _;

/// Characters of a value that a row shows at first.
const HEAD_CHARS: usize = 400;

/// Values up to this long and of so many lines are short enough for a row.
const SHORT_CHARS: usize = 200;
const SHORT_LINES: usize = 3;

/// Bytes, made readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The text, or the bytes in escapes.
    pub text: String,
    /// It is spelled in escapes.
    pub escaped: bool,
}

/// A key. It stands in one line.
pub fn readable_key(key: &[u8]) -> Readable {
    readable(key, key_text(key))
}

/// A value.
pub fn readable_value(value: &[u8]) -> Readable {
    readable(value, value_text(value))
}

fn readable(bytes: &[u8], text: Option<&str>) -> Readable {
    Readable { text: text.map_or_else(|| escape(bytes), Into::into), escaped: text.is_none() }
}

/// The key as text, if a field of one line holds it unchanged.
pub fn key_text(key: &[u8]) -> Option<&str> {
    value_text(key).filter(|text| !text.contains('\n'))
}

/// The value as text, if a field of many lines holds it unchanged and shows what it is.
pub fn value_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.chars().any(is_unseen))
}

/// The beginning of a value, if the whole is too long for a row.
pub fn head(value: &[u8]) -> Option<Readable> {
    // A character has at most four bytes: what is cut here is far too long in any case.
    let start = &value[..value.len().min(HEAD_CHARS * 4)];
    let whole = match std::str::from_utf8(start) {
        // The cut may have split a character: leave its half out.
        Err(e) if start.len() < value.len() && e.error_len().is_none() => &start[..e.valid_up_to()],
        _ => start,
    };
    let mut shown = readable_value(whole);
    let long = whole.len() < value.len()
        || shown.text.chars().nth(SHORT_CHARS).is_some()
        || shown.text.lines().nth(SHORT_LINES).is_some();
    if let Some((cut, _)) = shown.text.char_indices().nth(HEAD_CHARS) {
        shown.text.truncate(cut);
    }
    long.then_some(shown)
}

/// A text's blanks at its beginning, what is between, and its blanks at its end.
pub fn blanks(text: &str) -> (&str, &str, &str) {
    let rest = text.trim_start_matches(' ');
    let middle = rest.trim_end_matches(' ');
    (&text[..text.len() - rest.len()], middle, &rest[middle.len()..])
}

/// Line ends and tabs show well. Other control characters do not, nor do those without a width or
/// those that turn the direction of what follows.
fn is_unseen(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let has_no_width = matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}');
    turns || has_no_width || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The bytes in escapes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str(r"\\"),
                '\n' => text.push_str(r"\n"),
                '\r' => text.push_str(r"\r"),
                '\t' => text.push_str(r"\t"),
                c if is_unseen(c) => push_hex(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        push_hex(&mut text, chunk.invalid());
    }
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, r"\x{byte:02x}");
    }
}

/// The bytes that a text in escapes means. The error is for the person who typed it.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, length) = read_escape(escape).ok_or_else(|| no_escape(escape))?;
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// What the characters after a backslash mean, and how many they are.
fn read_escape(text: &str) -> Option<(u8, usize)> {
    match text.as_bytes() {
        [b'\\', ..] => Some((b'\\', 1)),
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [b'x', high, low, ..] => Some((hex(*high)? << 4 | hex(*low)?, 3)),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn no_escape(text: &str) -> String {
    let shown: String = text.chars().take(if text.starts_with('x') { 3 } else { 1 }).collect();
    format!(r"\{shown} is no escape. A byte is \x and two digits from 0 to f, a backslash is \\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shows_as_it_is_and_bytes_in_escapes() {
        assert_eq!(readable_value("grün\n".as_bytes()).text, "grün\n");
        let bytes = readable_value(b"\0a\xff\\ \xc3\xbc");
        assert_eq!((bytes.text.as_str(), bytes.escaped), (r"\x00a\xff\\ ü", true));
    }

    #[test]
    fn what_a_field_would_change_is_escaped() {
        // A field of one line drops line ends, one of many lines turns \r\n into \n.
        assert_eq!(readable_key(b"nl\nkey").text, r"nl\nkey");
        assert_eq!(readable_value(b"a\r\nb").text, r"a\r\nb");
        assert_eq!(value_text(b"a\n\tb"), Some("a\n\tb"));
    }

    #[test]
    fn characters_that_hide_what_a_text_is_are_escaped() {
        for c in ["\u{202e}", "\u{200b}", "\u{feff}", "\u{7}"] {
            assert!(readable_value(format!("a{c}b").as_bytes()).escaped, "{c:?}");
        }
        assert_eq!(readable_value("a\u{202e}b".as_bytes()).text, r"a\xe2\x80\xaeb");
    }

    #[test]
    fn escapes_give_the_same_bytes_back() {
        let every: Vec<u8> = (0..=255).collect();
        let twice: Vec<u8> = (0..=255).flat_map(|b| [0xc3, b, b'\\', b, b'x']).collect();
        let text = r#"{"a\n": "C:\x41\\"} ü € 𝄞"#.as_bytes().to_vec();
        for bytes in [every, twice, text, Vec::new()] {
            assert_eq!(unescape(&escape(&bytes)).as_ref(), Ok(&bytes));
        }
    }

    #[test]
    fn what_is_no_escape_is_named() {
        assert_eq!(unescape(r"a\x4Ab\t"), Ok(b"a\x4ab\t".to_vec()));
        for (text, named) in [(r"\q", r"\q is"), (r"\xf", r"\xf is"), (r"\xzé", r"\xzé is")] {
            let wrong = unescape(text).expect_err(text);
            assert!(wrong.starts_with(named), "{wrong}");
        }
        assert!(unescape("at the end \\").is_err());
    }

    #[test]
    fn a_long_value_has_a_head() {
        let short = "ä".repeat(SHORT_CHARS);
        assert_eq!((head(short.as_bytes()), head(b"1\n2\n3\n")), (None, None));
        assert_eq!(head(format!("{short}ä").as_bytes()).map(|h| h.text), Some(short + "ä"));
        assert_eq!(head(b"1\n2\n3\n4").map(|h| h.text).as_deref(), Some("1\n2\n3\n4"));
        // Three-byte characters: the cut of the bytes falls inside of one.
        let long = head("€".repeat(HEAD_CHARS * 2).as_bytes()).expect("it is long");
        assert_eq!((long.text, long.escaped), ("€".repeat(HEAD_CHARS), false));
    }

    #[test]
    fn blanks_at_the_ends_are_found() {
        assert_eq!(blanks("  a b "), ("  ", "a b", " "));
        assert_eq!(blanks(" "), (" ", "", ""));
        assert_eq!(blanks("a"), ("", "a", ""));
    }
}
