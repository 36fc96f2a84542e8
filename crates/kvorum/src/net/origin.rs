//! Who may talk to this process: a browser carries requests of any site to any address, so only
//! those are answered that its own page, or no page at all, has sent.
//!
//! * **Host** must name this process. A foreign site whose name was made to point here (DNS
//!   rebinding) carries its own name: 421.
//! * **Origin**, which browsers send with everything that could do harm (WebSockets, too), must
//!   be that host: 403.
//! * A browser keeps the members' data for one address, so a page asked for by another name of
//!   loopback is sent there: 307.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{ACCEPT, HOST, ORIGIN, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::net::url::ListenUrl;

/// The port that browsers leave out.
const HTTP_PORT: u16 = 80;

/// The addresses of this process.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    urls: Arc<[ListenUrl]>,
    /// Whether a request may name any host if no browser can have sent it.
    tools_use_any: bool,
}

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Serve,
    /// The Host that it names is not ours.
    WrongHost(String),
    /// It comes from this other site.
    WrongOrigin(String),
    /// It belongs to the one address of the page.
    Redirect(String),
}

impl Addresses {
    /// These URLs, with the ports that they got.
    pub(crate) fn new(urls: Vec<ListenUrl>) -> Self {
        Self { urls: urls.into(), tools_use_any: false }
    }

    /// As [`new`](Self::new), for a server, which its clients reach by names that it is not
    /// told. They speak HTTP/2 in clear text, and no browser does.
    pub(crate) fn of_server(urls: Vec<ListenUrl>) -> Self {
        Self { urls: urls.into(), tools_use_any: true }
    }

    fn is_of_a_tool(&self, request: &Request) -> bool {
        self.tools_use_any
            && request.version() == Version::HTTP_2
            && !request.headers().contains_key(ORIGIN)
    }

    /// The page's one address, as people type it.
    pub(crate) fn page(&self) -> String {
        let url = &self.urls[0];
        let host = match url.ip() {
            _ if is_loopback_name(&url.host) => "127.0.0.1".to_owned(),
            Some(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            Some(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => url.host.clone(),
        };
        match url.port {
            HTTP_PORT => format!("http://{host}/"),
            port => format!("http://{host}:{port}/"),
        }
    }

    /// Whether this Host is a name of ours, with our port.
    fn knows(&self, host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        let name = bare(host);
        let port = host.port_u16().unwrap_or(HTTP_PORT);
        self.urls.iter().any(|url| port == url.port && answers_to(url, &name))
    }

    fn judge(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Verdict {
        let host = match host_of(uri, headers) {
            Ok(host) if self.knows(&host) => host,
            Ok(host) => return Verdict::WrongHost(host.to_string()),
            Err(host) => return Verdict::WrongHost(host),
        };
        for origin in headers.get_all(ORIGIN) {
            let expected = format!("http://{host}");
            if !origin.as_bytes().eq_ignore_ascii_case(expected.as_bytes()) {
                let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
                return Verdict::WrongOrigin(origin);
            }
        }
        let page = self.page();
        let elsewhere = page != format!("http://{}/", host.as_str().to_ascii_lowercase());
        let ours_is_loopback = page.parse().is_ok_and(|page: http::Uri| {
            page.authority().is_some_and(|authority| is_loopback(&bare(authority)))
        });
        if elsewhere
            && ours_is_loopback
            && is_loopback(&bare(&host))
            && asks_for_a_page(method, headers)
        {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            return Verdict::Redirect(format!("{}{path}", page.trim_end_matches('/')));
        }
        Verdict::Serve
    }
}

/// Lets a request in, sends it to the right address, or turns it away.
pub(crate) async fn check(
    State(addresses): State<Addresses>,
    request: Request,
    next: Next,
) -> Response {
    if addresses.is_of_a_tool(&request) {
        return next.run(request).await;
    }
    match addresses.judge(request.method(), request.uri(), request.headers()) {
        Verdict::Serve => next.run(request).await,
        Verdict::Redirect(to) => Redirect::temporary(&to).into_response(),
        Verdict::WrongHost(host) => {
            let page = addresses.page();
            let text = format!("{host:?} is not served here; this is {page}\n");
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
        Verdict::WrongOrigin(origin) => {
            let text = format!("{origin} is another site; only the page from here may do this\n");
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

/// The host that a request is for. HTTP/2 says it in the URI, HTTP/1 in a header; where both
/// are there they must agree.
fn host_of(uri: &http::Uri, headers: &HeaderMap) -> Result<Authority, String> {
    let mut hosts = Vec::new();
    hosts.extend(uri.authority().map(ToString::to_string));
    for host in headers.get_all(HOST) {
        hosts.push(String::from_utf8_lossy(host.as_bytes()).into_owned());
    }
    let first = hosts.first().cloned().unwrap_or_default();
    if hosts.iter().any(|host| !host.eq_ignore_ascii_case(&first)) {
        return Err(hosts.join(", "));
    }
    first.parse().map_err(|_| first)
}

fn answers_to(url: &ListenUrl, name: &str) -> bool {
    if name == url.host {
        return true;
    }
    let asked: Option<IpAddr> = name.parse().ok();
    match url.ip() {
        Some(ip) if ip.is_unspecified() => asked.is_some() || is_loopback(name),
        Some(ip) if ip.is_loopback() => is_loopback(name),
        Some(ip) => asked == Some(ip),
        None => is_loopback(&url.host) && is_loopback(name),
    }
}

/// Without the brackets of an IPv6 address and without its port.
fn bare(authority: &Authority) -> String {
    authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

fn is_loopback(name: &str) -> bool {
    is_loopback_name(name) || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Browsers resolve these themselves, so nobody else can own them.
fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// What is typed into a browser, and not what a page, a tool or a script loads.
fn asks_for_a_page(method: &Method, headers: &HeaderMap) -> bool {
    (method == Method::GET || method == Method::HEAD)
        && !headers.contains_key(UPGRADE)
        && headers
            .get(ACCEPT)
            .is_some_and(|accept| accept.to_str().is_ok_and(|a| a.contains("text/html")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(urls: &[&str]) -> Addresses {
        Addresses::new(urls.iter().map(|url| url.parse().expect("a listen URL")).collect())
    }

    fn judge(addresses: &Addresses, uri: &str, headers: &[(&str, &str)]) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a header");
            map.append(name, value.parse().expect("a value"));
        }
        addresses.judge(&Method::GET, &uri.parse().expect("a URI"), &map)
    }

    fn host(addresses: &Addresses, host: &str) -> bool {
        judge(addresses, "/", &[("host", host)]) == Verdict::Serve
    }

    #[test]
    fn a_hub_on_loopback_answers_to_names_of_loopback() {
        let hub = addresses(&["http://127.0.0.1:2379"]);
        for ours in ["127.0.0.1:2379", "localhost:2379", "LOCALHOST:2379", "[::1]:2379"] {
            assert!(host(&hub, ours), "{ours}");
        }
        for ours in ["127.8.9.1:2379", "a.localhost:2379"] {
            assert!(host(&hub, ours), "{ours}");
        }
        let foreign = [
            "evil.example:2379",
            "127.0.0.1",
            "127.0.0.1:2380",
            "127.0.0.1.evil.example:2379",
            "localhost.evil.example:2379",
            "notlocalhost:2379",
            "192.168.0.7:2379",
            "me@127.0.0.1:2379",
            "",
            "127.0.0.1:2379 ",
        ];
        for foreign in foreign {
            assert!(!host(&hub, foreign), "{foreign}");
        }
        assert!(matches!(judge(&hub, "/", &[]), Verdict::WrongHost(_)));
    }

    #[test]
    fn a_hub_answers_to_what_it_was_told_to_listen_on() {
        let lan = addresses(&["http://192.168.0.7:80", "http://my.host:2379"]);
        assert!(host(&lan, "192.168.0.7"));
        assert!(host(&lan, "my.host:2379"));
        assert!(!host(&lan, "my.host:80"));
        assert!(!host(&lan, "192.168.0.8:80"));
        assert!(!host(&lan, "localhost:80"));
        let any = addresses(&["http://0.0.0.0:2379"]);
        assert!(host(&any, "192.168.0.7:2379") && host(&any, "[fe80::1]:2379"));
        assert!(host(&any, "localhost:2379"));
        assert!(!host(&any, "evil.example:2379"));
    }

    #[test]
    fn every_host_of_a_request_counts() {
        let hub = addresses(&["http://127.0.0.1:2379"]);
        let uri = "http://127.0.0.1:2379/etcdserverpb.KV/Put";
        assert_eq!(judge(&hub, uri, &[]), Verdict::Serve);
        let two = judge(&hub, uri, &[("host", "evil.example:2379")]);
        assert!(matches!(two, Verdict::WrongHost(_)));
        let two = [("host", "127.0.0.1:2379"), ("host", "evil.example:2379")];
        assert!(matches!(judge(&hub, "/", &two), Verdict::WrongHost(_)));
        let foreign = judge(&hub, "http://evil.example/", &[]);
        assert!(matches!(foreign, Verdict::WrongHost(_)));
    }

    #[test]
    fn an_origin_must_be_the_host() {
        let hub = addresses(&["http://127.0.0.1:2379"]);
        let from =
            |origin| judge(&hub, "/relay", &[("host", "127.0.0.1:2379"), ("origin", origin)]);
        assert_eq!(from("http://127.0.0.1:2379"), Verdict::Serve);
        let foreign = [
            "http://evil.example",
            "https://127.0.0.1:2379",
            "http://127.0.0.1",
            "http://127.0.0.1:8080",
            "http://localhost:2379",
            "null",
            "",
        ];
        for origin in foreign {
            assert_eq!(from(origin), Verdict::WrongOrigin(origin.into()));
        }
        let any = addresses(&["http://0.0.0.0:2379"]);
        let headers = [("host", "10.0.0.1:2379"), ("origin", "http://10.0.0.2:2379")];
        assert!(matches!(judge(&any, "/relay", &headers), Verdict::WrongOrigin(_)));
    }

    #[test]
    fn a_page_has_one_address() {
        let hub = addresses(&["http://127.0.0.1:2379"]);
        let page = [("host", "localhost:2379"), ("accept", "text/html,*/*")];
        let there = Verdict::Redirect("http://127.0.0.1:2379/?member=2&cluster=a%20b".into());
        assert_eq!(judge(&hub, "/?member=2&cluster=a%20b", &page), there);
        let page = [("host", "[::1]:2379"), ("accept", "text/html")];
        let there = Verdict::Redirect("http://127.0.0.1:2379/".into());
        assert_eq!(judge(&hub, "/", &page), there);
        let page = [("host", "127.0.0.1:2379"), ("accept", "text/html")];
        assert_eq!(judge(&hub, "/", &page), Verdict::Serve);
        let tool = [("host", "localhost:2379"), ("accept", "*/*")];
        assert_eq!(judge(&hub, "/build.json", &tool), Verdict::Serve);
        let bare = addresses(&["http://127.0.0.1:80"]);
        let page = [("host", "127.0.0.1"), ("accept", "text/html")];
        assert_eq!(judge(&bare, "/", &page), Verdict::Serve);
        let lan = addresses(&["http://0.0.0.0:2379"]);
        let page = [("host", "192.168.0.7:2379"), ("accept", "text/html")];
        assert_eq!(judge(&lan, "/", &page), Verdict::Serve);
    }

    #[test]
    fn the_page_is_named_as_people_type_it() {
        assert_eq!(addresses(&["http://0.0.0.0:1"]).page(), "http://127.0.0.1:1/");
        assert_eq!(addresses(&["http://localhost:1"]).page(), "http://127.0.0.1:1/");
        assert_eq!(addresses(&["http://[::1]:1"]).page(), "http://[::1]:1/");
        assert_eq!(addresses(&["http://my.host:1"]).page(), "http://my.host:1/");
    }
}
