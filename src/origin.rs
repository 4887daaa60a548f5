//! Which web pages may come here: the list of origins, and what a browser is told of it (CORS).

use std::fmt;
use std::str::FromStr;

/// A header of an answer.
pub type Header = (&'static str, String);

/// The origins whose pages may come. Who is no browser names none, and always may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// All of them; what holds when there is no list.
    #[default]
    Any,
    /// Those on the list, which may be empty.
    Listed(Vec<Pattern>),
}

/// One entry of the list: an origin, or `*.` and the domain whose subdomains of one level are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    origin: Origin,
    subdomains: bool,
}

/// Where a page is from (RFC 6454), in small letters and without a port that the scheme implies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// An entry of the list that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        write!(f, "{entry:?} is not an origin such as https://cidadao.ai or https://*.cidadao.ai")
    }
}

impl Origins {
    /// Reads a list with commas, and returns its bad entries beside the good ones.
    ///
    /// A list of nothing but bad entries allows nobody: whoever wrote it meant to keep pages out.
    pub fn parse(list: &str) -> (Self, Vec<InvalidOrigin>) {
        if list.trim().is_empty() {
            return (Self::Any, Vec::new());
        }
        let (mut patterns, mut bad) = (Vec::new(), Vec::new());
        for entry in list.split(',').map(str::trim) {
            match entry.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(invalid) => bad.push(invalid),
            }
        }
        (Self::Listed(patterns), bad)
    }

    /// Whether a request with this `Origin` may come.
    pub fn allow(&self, origin: Option<&str>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (_, None) => true,
            (Self::Listed(patterns), Some(origin)) => {
                origin.parse().is_ok_and(|origin| patterns.iter().any(|pattern| pattern.matches(&origin)))
            }
        }
    }

    /// What every HTTP answer to a request with this `Origin` carries: whether its page may read the answer.
    pub fn headers(&self, origin: Option<&str>) -> Vec<Header> {
        let echoed = origin.filter(|text| self.allow(origin) && text.bytes().all(|byte| byte.is_ascii_graphic()));
        let allowed = echoed.map(|text| ("access-control-allow-origin", text.to_owned()));
        [("vary", "origin".to_owned())].into_iter().chain(allowed).collect()
    }
}

/// What else the answer to a preflight carries, for a path that takes these methods.
pub fn preflight(methods: String) -> [Header; 3] {
    [
        ("access-control-allow-methods", methods),
        (
            "access-control-allow-headers",
            "authorization, content-type, if-none-match, if-range, range, x-content-sha256".to_owned(),
        ),
        ("access-control-max-age", "86400".to_owned()),
    ]
}

impl Pattern {
    fn matches(&self, origin: &Origin) -> bool {
        let host = match self.subdomains {
            true => origin.host.split_once('.').map(|(_, parent)| parent),
            false => Some(origin.host.as_str()),
        };
        host == Some(&self.origin.host) && origin.scheme == self.origin.scheme && origin.port == self.origin.port
    }
}

impl FromStr for Pattern {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let Some((scheme, parent)) = text.split_once("://*.") else {
            return Ok(Self { origin: text.parse()?, subdomains: false });
        };
        let origin: Origin = format!("{scheme}://{parent}").parse().map_err(|_| InvalidOrigin(text.to_owned()))?;
        match origin.is_named() {
            true => Ok(Self { origin, subdomains: true }),
            false => Err(InvalidOrigin(text.to_owned())),
        }
    }
}

impl Origin {
    /// Whether the host is a name, which can have subdomains, and not the address of a machine.
    fn is_named(&self) -> bool {
        let top = self.host.rsplit('.').next().unwrap_or_default();
        top.bytes().any(|byte| byte.is_ascii_lowercase()) && !self.host.starts_with('[')
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        parse(&text.to_ascii_lowercase()).ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

/// `<scheme>://<host>[:<port>]` and nothing after it, as browsers write it.
fn parse(text: &str) -> Option<Origin> {
    let (scheme, authority) = text.split_once("://")?;
    let colon = authority.rfind(':').filter(|_| !authority.ends_with(']'));
    let (host, port) = match colon.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, port)) => (host, Some(port_number(port.strip_prefix(':')?)?)),
        None => (authority, None),
    };
    let implied = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let valid = is_scheme(scheme) && (is_name(host) || is_ipv6(host));
    let port = port.filter(|port| Some(*port) != implied);
    valid.then(|| Origin { scheme: scheme.to_owned(), host: host.to_owned(), port })
}

fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_scheme(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(rest)
}

fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    host.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

fn is_ipv6(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str) -> Origins {
        let (origins, bad) = Origins::parse(list);
        assert_eq!(bad, [], "{list}");
        origins
    }

    #[test]
    fn an_origin_on_the_list_is_that_origin_and_no_other() {
        let origins = listed("https://cidadao.ai, http://localhost:3000,capacitor://localhost,http://[::1]:8080");
        for (origin, allowed) in [
            ("https://cidadao.ai", true),
            ("https://cidadao.ai:443", true),
            ("HTTPS://Cidadao.AI", true),
            ("http://localhost:3000", true),
            ("capacitor://localhost", true),
            ("http://[::1]:8080", true),
            ("http://cidadao.ai", false),
            ("wss://cidadao.ai", false),
            ("https://cidadao.ai:8443", false),
            ("https://cidadao.ai:", false),
            ("https://cidadao.ai:+443", false),
            ("https://cidadao.ai:65979", false),
            ("https://cidadao.ai/", false),
            ("https://cidadao.ai/path", false),
            ("https://cidadao.ai?", false),
            ("https://cidadao.ai#", false),
            ("https://cidadao.ai.", false),
            ("https://www.cidadao.ai", false),
            ("https://cidadao.ai.evil.com", false),
            ("https://evilcidadao.ai", false),
            ("https://evil.com/https://cidadao.ai", false),
            ("https://cidadao.ai@evil.com", false),
            ("https://evil.com@cidadao.ai", false),
            ("https://evil.com\\cidadao.ai", false),
            ("https://cidadao.ai, https://evil.com", false),
            ("https://cidadao.ai https://evil.com", false),
            (" https://cidadao.ai", false),
            ("http://localhost", false),
            ("http://localhost:30000", false),
            ("cidadao.ai", false),
            ("//cidadao.ai", false),
            ("://cidadao.ai", false),
            ("https://", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(origins.allow(Some(origin)), allowed, "{origin}");
        }
    }

    #[test]
    fn an_asterisk_stands_for_one_name_before_the_domain() {
        let origins = listed("https://*.cidadao.ai,http://*.localhost:3000");
        for (origin, allowed) in [
            ("https://app.cidadao.ai", true),
            ("https://APP.cidadao.ai:443", true),
            ("http://a.localhost:3000", true),
            ("https://cidadao.ai", false),
            ("https://.cidadao.ai", false),
            ("https://*.cidadao.ai", false),
            ("https://a.b.cidadao.ai", false),
            ("https://evilcidadao.ai", false),
            ("https://app.cidadao.ai.evil.com", false),
            ("https://evil.com/.cidadao.ai", false),
            ("https://evil.com#.cidadao.ai", false),
            ("https://app.cidadao.ai:8443", false),
            ("http://app.cidadao.ai", false),
            ("http://a.localhost", false),
        ] {
            assert_eq!(origins.allow(Some(origin)), allowed, "{origin}");
        }
    }

    #[test]
    fn an_entry_may_be_written_as_people_write_it() {
        for (entry, origin) in [
            ("HTTPS://Cidadao.AI:443", "https://cidadao.ai"),
            ("http://cidadao.ai:80", "http://cidadao.ai"),
            ("https://*.Cidadao.ai:443", "https://app.cidadao.ai"),
        ] {
            assert!(listed(entry).allow(Some(origin)), "{entry}");
        }
    }

    #[test]
    fn a_bad_entry_is_named_and_the_good_ones_hold() {
        for bad in [
            "",
            "*",
            "null",
            "cidadao.ai",
            "*.cidadao.ai",
            "https://",
            "https://*",
            "https://*.",
            "https://*.*.cidadao.ai",
            "https://app.*.ai",
            "https://*app.cidadao.ai",
            "https://*.10.0.0.1",
            "https://*.[::1]",
            "https://[cidadao.ai]",
            "https://cidadao.ai/",
            "https://cidadao.ai/*",
            "https://cidadao.ai:*",
            "https://cidadao.ai:0x1",
            "https://cidadao.ai:65536",
            "https://cidadão.ai",
            "https://cidadao .ai",
            "https://cidadao..ai",
            "1s://cidadao.ai",
        ] {
            let (origins, problems) = Origins::parse(&format!("https://a.org, {bad} ,https://b.org"));
            assert_eq!(problems, [InvalidOrigin(bad.to_owned())]);
            assert!(problems[0].to_string().contains(bad));
            assert!(origins.allow(Some("https://a.org")) && origins.allow(Some("https://b.org")), "{bad}");
            assert!(!origins.allow(Some("https://c.org")), "{bad}");
        }
    }

    #[test]
    fn without_a_list_every_page_may_come_and_with_a_useless_one_none() {
        for blank in ["", "  "] {
            assert_eq!(listed(blank), Origins::Any);
        }
        for origin in ["https://evil.com", "null", ""] {
            assert!(Origins::Any.allow(Some(origin)), "{origin}");
        }
        let (nobody, problems) = Origins::parse("*");
        assert_eq!((nobody.allow(Some("https://cidadao.ai")), problems.len()), (false, 1));
        assert!(nobody.allow(None), "who is no browser");
    }

    #[test]
    fn a_page_that_may_come_may_read_the_answer() {
        let origins = listed("https://cidadao.ai");
        let refused = [("vary", "origin".to_owned())];
        let allowed =
            |origin: &str| vec![("vary", "origin".to_owned()), ("access-control-allow-origin", origin.to_owned())];
        assert_eq!(origins.headers(Some("https://cidadao.ai")), allowed("https://cidadao.ai"));
        assert_eq!(origins.headers(Some("https://evil.com")), refused);
        assert_eq!(origins.headers(None), refused);
        for origin in ["https://evil.com", "null"] {
            assert_eq!(Origins::Any.headers(Some(origin)), allowed(origin));
        }
        for unfit in ["https://é.org", "a b", "a\nset-cookie: b"] {
            assert_eq!(Origins::Any.headers(Some(unfit)), refused, "{unfit:?}");
        }
    }
}
