//! What the page's address asks for: `/`, `/?member=2`, `/?cluster=NAME`.

use api::limits::NAME_CHARS;

/// The initial members of every cluster in tabs.
pub const MEMBERS: [&str; 3] = ["1", "2", "3"];

/// The cluster of an address that names none.
pub const DEFAULT_CLUSTER: &str = "default";

/// What the page is asked to show and to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The cluster's name.
    pub cluster: String,
    /// The one member to run; without it, all that no other tab runs.
    pub member: Option<String>,
}

impl Address {
    /// Reads the query of the page's address. The error is a sentence for the person who typed it.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut address = Self { cluster: DEFAULT_CLUSTER.into(), member: None };
        for pair in query.trim_start_matches('?').split('&') {
            match pair.split_once('=') {
                Some(("cluster", name)) => address.cluster = cluster_name(name)?,
                Some(("member", name)) => address.member = Some(member_name(name)?),
                // Other parameters are someone else's.
                _ => {}
            }
        }
        Ok(address)
    }

    /// The same, for a page that comes from a server: it shows one cluster and runs no member.
    pub fn of_server(query: &str) -> Result<Self, String> {
        match Self::parse(query) {
            Ok(Self { cluster, member: None }) if cluster == DEFAULT_CLUSTER => {
                Ok(Self { cluster, member: None })
            }
            _ => Err("This page comes from a server: it shows that server's cluster only, and \
                none of its members runs in a tab."
                .into()),
        }
    }

    /// The members that this page may start by itself.
    pub fn members(&self) -> Vec<String> {
        match &self.member {
            Some(name) => vec![name.clone()],
            None => MEMBERS.map(String::from).to_vec(),
        }
    }

    /// The address of a page that runs just one member of the same cluster.
    pub fn of_member(&self, name: &str) -> String {
        if self.cluster == DEFAULT_CLUSTER {
            format!("/?member={name}")
        } else {
            format!("/?member={name}&cluster={}", self.cluster)
        }
    }
}

/// A name is part of a path, of a lock's name and of addresses, so it is kept plain.
fn cluster_name(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) || name.chars().all(|c| c == '.') {
        return Err("A cluster's name has letters, digits, '-', '_' and '.' only.".into());
    }
    if name.len() > NAME_CHARS {
        return Err(format!("A cluster's name has at most {NAME_CHARS} characters."));
    }
    Ok(name.into())
}

fn member_name(name: &str) -> Result<String, String> {
    if MEMBERS.contains(&name) {
        Ok(name.into())
    } else {
        Err("The members of a cluster in tabs are 1, 2 and 3.".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Address {
        Address::parse(query).expect("the query is good")
    }

    #[test]
    fn an_empty_query_runs_all_members_of_the_default_cluster() {
        for query in ["", "?", "?utm=x"] {
            assert_eq!(parse(query).cluster, "default");
            assert_eq!(parse(query).members(), ["1", "2", "3"]);
        }
    }

    #[test]
    fn member_and_cluster_are_read_in_any_order() {
        for query in ["?member=2&cluster=lab-1", "?cluster=lab-1&member=2"] {
            let address = parse(query);
            assert_eq!((address.cluster.as_str(), address.members()), ("lab-1", vec!["2".into()]));
        }
    }

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "a%2Fb", "a b", "ä"] {
            assert!(Address::parse(&format!("?cluster={name}")).is_err(), "{name}");
        }
        assert!(Address::parse("?member=4").is_err());
    }

    #[test]
    fn the_longest_name_is_the_limit() {
        let name = "a".repeat(NAME_CHARS);
        assert_eq!(parse(&format!("?cluster={name}")).cluster, name);
        assert!(Address::parse(&format!("?cluster={name}a")).is_err());
    }

    #[test]
    fn a_servers_page_has_one_address() {
        for query in ["", "?utm=x", "?cluster=default"] {
            assert_eq!(Address::of_server(query), Ok(parse("")));
        }
        for query in ["?member=2", "?cluster=lab", "?member=4"] {
            assert!(Address::of_server(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_address_of_a_member_leads_to_the_same_cluster() {
        for query in ["?cluster=lab", ""] {
            let member = parse(&parse(query).of_member("3")["/".len()..]);
            assert_eq!(member.cluster, parse(query).cluster);
            assert_eq!(member.member.as_deref(), Some("3"));
        }
    }
}
