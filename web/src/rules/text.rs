//! Numbers, names and long texts as people read them.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Characters of a name inside of a sentence.
const SHORT_CHARS: usize = 40;

/// A size in the unit that reads best.
pub fn size(bytes: u64) -> String {
    let of = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{:.1} KiB", of(KIB)),
        MIB..GIB => format!("{:.1} MiB", of(MIB)),
        _ => format!("{:.1} GiB", of(GIB)),
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

/// `1 key`, `12 keys`.
pub fn keys(count: u64) -> String {
    match count {
        1 => "1 key".into(),
        n => format!("{n} keys"),
    }
}

/// A text that may be too long for a sentence.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(SHORT_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into(),
    }
}

/// A name as one word that an element's id may hold; two names never make the same.
pub fn token(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("_{byte:02x}"),
    };
    name.bytes().map(one).collect()
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
    fn lists_of_members_read_as_a_sentence() {
        let names = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
        assert_eq!(members(&names[..1]), "member 1");
        assert_eq!(members(&names[..2]), "members 1 and 2");
        assert_eq!(members(&names), "members 1, 2 and 3");
        assert_eq!(sentence(&members(&names[1..])), "Members 2 and 3");
    }

    #[test]
    fn long_names_are_cut_inside_of_a_sentence() {
        let exact = "ä".repeat(SHORT_CHARS);
        assert_eq!(short(&exact), exact);
        assert_eq!(short(&format!("{exact}ä")), format!("{exact}…"));
    }

    #[test]
    fn any_name_makes_one_word() {
        assert_eq!((token("1"), token("node-a")), ("1".into(), "node-a".into()));
        assert_eq!(token("a b_ä"), "a_20b_5f_c3_a4");
    }

    #[test]
    fn units_fit_the_amount() {
        assert_eq!(
            (size(12), size(1536), size(1_572_864)),
            ("12 bytes".into(), "1.5 KiB".into(), "1.5 MiB".into())
        );
        assert_eq!(size(10 << 30), "10.0 GiB");
        assert_eq!((millis(1.24), millis(7000.0)), ("1.2 ms".into(), "7.0 s".into()));
    }
}
