//! What this browser says about the room that the members' data has, and whether it stays.

use super::text;

/// As the browser says it, in bytes of this site's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What is used, and what may be used at most.
    pub bytes: Option<(u64, u64)>,
    /// It removes the data only when it is told to.
    pub stays: Option<bool>,
}

impl Room {
    /// For people.
    pub fn words(&self) -> String {
        let bytes = self.bytes.map(|(used, most)| {
            let (used, left) = (text::size(used), text::size(most.saturating_sub(used)));
            format!("Data in this browser: {used} used, {left} left by its own estimate.")
        });
        let stays = self.stays.map(|stays| match stays {
            true => "The browser has agreed to keep it until you remove it.",
            false => {
                "The browser was asked to keep it and has not agreed: it may remove it when \
                the disk gets full."
            }
        });
        [bytes.as_deref(), stays].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_known() {
        let bytes = Some((3 << 20, 10 << 30));
        let both = Room { bytes, stays: Some(true) }.words();
        assert_eq!(
            both,
            "Data in this browser: 3.0 MiB used, 10.0 GiB left by its own estimate. The browser \
             has agreed to keep it until you remove it."
        );
        assert!(Room { bytes: None, stays: Some(false) }.words().starts_with("The browser was"));
        assert!(
            Room { bytes: Some((7, 5)), stays: None }
                .words()
                .ends_with("0 bytes left by its own estimate.")
        );
        assert_eq!(Room::default().words(), "");
    }
}
