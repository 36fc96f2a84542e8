//! The title of a tab: which members it runs, and what they do.

use crate::rules::text;

/// A member that the page runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// Its name.
    pub name: String,
    /// Its state in words, as its card says it.
    pub words: String,
    /// It is the leader.
    pub leads: bool,
}

/// The title. A tab shows only its beginning, so what tells tabs apart comes first.
pub fn title(cluster: &str, here: &[Here]) -> String {
    let names: Vec<String> = here.iter().map(|member| member.name.clone()).collect();
    let who = text::sentence(&text::members(&names));
    match here {
        [] => format!("{cluster} · Kvorum"),
        [one] => format!("{who} · {} · {cluster}", one.words),
        several => format!("{who} · {} · {cluster}", role(several)),
    }
}

/// Who leads; if it is none of them, what they are.
fn role(members: &[Here]) -> String {
    if let Some(leader) = members.iter().find(|member| member.leads) {
        return format!("{} leads", leader.name);
    }
    let mut words: Vec<&str> = members.iter().map(|member| member.words.as_str()).collect();
    words.dedup();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, words: &str) -> Here {
        Here { name: name.into(), words: words.into(), leads: words == "leader" }
    }

    #[test]
    fn a_tab_is_called_by_what_it_runs() {
        let (one, two) = (member("1", "follower"), member("2", "leader"));
        let three = member("3", "follower");
        assert_eq!(title("lab", &[]), "lab · Kvorum");
        assert_eq!(title("lab", std::slice::from_ref(&two)), "Member 2 · leader · lab");
        let all = [one.clone(), two, three.clone()];
        assert_eq!(title("lab", &all), "Members 1, 2 and 3 · 2 leads · lab");
        assert_eq!(title("lab", &[one.clone(), three]), "Members 1 and 3 · follower · lab");
        let mixed = [one, member("3", "stopped")];
        assert_eq!(title("lab", &mixed), "Members 1 and 3 · follower, stopped · lab");
    }
}
