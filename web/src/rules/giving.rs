//! What a person is asked before a cluster's name is given away.

/// Who gets a cluster's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebind {
    /// A new cluster, which is started here.
    #[default]
    New,
    /// The cluster that this browser still holds from before.
    Back,
    /// Nobody, until members are started again.
    Wipe,
}

/// The question.
pub fn question(what: Rebind) -> &'static str {
    match what {
        Rebind::New => "Start a new cluster here?",
        Rebind::Back => "Take the name back?",
        Rebind::Wipe => "Wipe this cluster?",
    }
}

/// The button that does it.
pub fn deed(what: Rebind) -> &'static str {
    match what {
        Rebind::New => "Start a new cluster",
        Rebind::Back => "Take the name back",
        Rebind::Wipe => "Wipe it",
    }
}

/// What it comes to. `held` is how many keys the cluster has, as far as a member could tell.
pub fn consequences(what: Rebind, cluster: &str, held: Option<i64>) -> String {
    let keys = match held {
        None => "What this browser holds of the old one".into(),
        Some(1) => "The old one has 1 key. What this browser holds of it".into(),
        Some(n) => format!("The old one has {n} keys. What this browser holds of it"),
    };
    let removed = "is removed and cannot be brought back; export it first if you may want it \
        again. Another browser that holds a part of it cannot run it under this name any more.";
    match what {
        Rebind::New => format!(
            "The name “{cluster}” goes to a new, empty cluster whose members run in this browser. \
             {keys} {removed}"
        ),
        Rebind::Wipe => format!(
            "All members of “{cluster}” in this browser end, and the name is free. {keys} {removed}"
        ),
        Rebind::Back => format!(
            "The name “{cluster}” goes back to the cluster that this browser holds, and its \
             members start here. The cluster that has the name now is not removed where it is, \
             but cannot run under this name any more."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_counted() {
        let words = consequences(Rebind::Wipe, "default", Some(1));
        assert!(words.contains("“default”") && words.contains("has 1 key."), "{words}");
        let words = consequences(Rebind::New, "default", Some(12));
        assert!(words.contains("has 12 keys. ") && words.contains("export it first"), "{words}");
        assert!(!consequences(Rebind::New, "default", None).contains("keys"));
    }

    #[test]
    fn taking_back_removes_nothing() {
        let words = consequences(Rebind::Back, "default", Some(3));
        assert!(words.contains("not removed") && !words.contains("keys"), "{words}");
    }
}
