//! Addresses, as flags name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::uri::Authority;

/// An address to listen on or to reach somebody at, as `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenUrl {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    /// 0 takes any free port.
    pub(crate) port: u16,
}

impl ListenUrl {
    /// The host, where it is no name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "http://[{host}]:{port}"),
            false => write!(f, "http://{host}:{port}"),
        }
    }
}

impl FromStr for ListenUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("TLS is not served yet; use http://".into());
        }
        let rest = text.strip_prefix("http://").ok_or("it must look like http://HOST:PORT")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: Authority = rest.parse().map_err(|e| format!("{e}"))?;
        let port = authority.port_u16().ok_or("it names no port")?;
        if authority.as_str().contains('@') {
            return Err("it must look like http://HOST:PORT".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_urls() {
        let url = |host: &str, port| Ok(ListenUrl { host: host.into(), port });
        assert_eq!("http://127.0.0.1:2379".parse(), url("127.0.0.1", 2379));
        assert_eq!("http://[::1]:80/".parse(), url("::1", 80));
        assert_eq!("http://My.Host:0".parse(), url("my.host", 0));
        for wrong in ["127.0.0.1:2379", "https://h:1", "http://h", "http://", "http://u@h:1"] {
            assert!(wrong.parse::<ListenUrl>().is_err(), "{wrong}");
        }
    }
}
