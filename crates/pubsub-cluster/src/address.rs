//! The address of a broker or a node, parsed from a URL. Pure.
//!
//! `bennu-pubsub-redis` and `bennu-pubsub-nats` parse the addresses of their servers here, `bennu-pubsub-zenoh` those
//! of nodes. The `url` crate parses the text, and `percent-encoding` decodes user and password. Invariant: neither an
//! error nor a debugging text contains a user or a password; a NATS token stands in the place of the user.

use bennu_pubsub::ClusterError;
use percent_encoding::percent_decode_str;
use std::fmt;
use url::{Host, ParseError, Url};

/// A URL scheme of one engine.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// Its name, for example `rediss`.
    pub name: &'static str,
    /// Whether its connections use TLS.
    pub secure: bool,
}

/// The parts of `scheme://[[user][:password]@]host[:port][/]`.
///
/// User and password may be percent-encoded, and must be where they contain `/`, `?`, `#` or `%`. An IPv6 address
/// stands in brackets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether the connection must use TLS.
    pub secure: bool,
    /// The user, decoded; `None` if empty.
    pub user: Option<String>,
    /// The password, decoded; `None` if empty.
    pub password: Option<String>,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port, or the engine's default.
    pub port: u16,
}

/// The options of a URL, `?name=value&name=value`, decoded and in their order.
pub type AddressOptions = Vec<(String, String)>;

impl Address {
    /// Parses a URL without options for the adapter of that name.
    ///
    /// # Errors
    /// [`ClusterError::Address`] with the URL, without its user and password, and with the form that is expected.
    pub fn parse(
        adapter: &'static str,
        text: &str,
        schemes: &[Scheme],
        default_port: u16,
    ) -> Result<Address, ClusterError> {
        let parsed = parse_url(text, schemes).and_then(|(url, scheme)| match url.query() {
            Some(query) => Err(superfluous("options have", &format!("?{query}"))),
            None => Address::from_url(&url, scheme, default_port),
        });
        parsed.map_err(|reason| address_error(adapter, text, reason))
    }

    /// Parses a URL with options for the adapter of that name.
    ///
    /// # Errors
    /// As [`Address::parse`]. The caller checks names and values of the options.
    pub fn parse_with_options(
        adapter: &'static str,
        text: &str,
        schemes: &[Scheme],
        default_port: u16,
    ) -> Result<(Address, AddressOptions), ClusterError> {
        let parsed = parse_url(text, schemes).and_then(|(url, scheme)| {
            let address = Address::from_url(&url, scheme, default_port)?;
            Ok((address, url.query_pairs().into_owned().collect()))
        });
        parsed.map_err(|reason| address_error(adapter, text, reason))
    }

    fn from_url(url: &Url, scheme: Scheme, default_port: u16) -> Result<Address, String> {
        if !matches!(url.path(), "" | "/") {
            return Err(superfluous("a path has", url.path()));
        }
        if let Some(fragment) = url.fragment() {
            return Err(superfluous("a fragment has", &format!("#{fragment}")));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => decode(name)?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(format!("the host is missing; write {}", form(scheme))),
        };
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Address {
            secure: scheme.secure,
            user: given(decode(url.username())?),
            password: url.password().map(decode).transpose()?.and_then(given),
            host,
            port: url.port().unwrap_or(default_port),
        })
    }
}

/// Returns the error for a text that is not an address. Everything before the last `@` is left out of it but the
/// scheme.
pub fn address_error(adapter: &'static str, text: &str, reason: String) -> ClusterError {
    let address = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) if !scheme.contains('@') => format!("{scheme}://{place}"),
        (_, Some((_, place))) => place.to_owned(),
        (_, None) => text.to_owned(),
    };
    ClusterError::Address { adapter, address, reason }
}

const UNENCODED: &str = "the user or the password contains /, ? or #; write them as %2F, %3F and %23";

/// Returns whether an `@` follows the end of the host, since a user or a password contains a delimiter.
fn has_unencoded_credentials(text: &str) -> bool {
    let tail = text.split_once("://").and_then(|(_, rest)| rest.split_once(['/', '?', '#']));
    tail.is_some_and(|(_, tail)| tail.contains('@'))
}

fn parse_url(text: &str, schemes: &[Scheme]) -> Result<(Url, Scheme), String> {
    let names = || schemes.iter().map(|scheme| format!("{}://", scheme.name)).collect::<Vec<_>>().join(" or ");
    let known = text
        .split_once("://")
        .and_then(|(name, _)| schemes.iter().find(|known| known.name.eq_ignore_ascii_case(name)).copied());
    let scheme = known.ok_or_else(|| format!("it does not begin with {}", names()))?;
    // `Url` removes these silently, which would change a password.
    if text.contains(['\t', '\r', '\n']) {
        return Err("it contains a tab or a line end; remove it, or write it as %09, %0D or %0A".to_owned());
    }
    let url = Url::parse(text).map_err(|error| match error {
        _ if has_unencoded_credentials(text) => UNENCODED.to_owned(),
        ParseError::EmptyHost => format!("the host is missing; write {}", form(scheme)),
        ParseError::InvalidPort => format!("the port is not a number up to {}; write {}", u16::MAX, form(scheme)),
        ParseError::InvalidIpv6Address => "the IPv6 address is not valid; write it in brackets, as [::1]".to_owned(),
        error => format!("{error}; write {}", form(scheme)),
    })?;
    Ok((url, scheme))
}

/// Returns the reason for a part that no engine expects. A part with an `@` is the rest of a password.
fn superfluous(part: &str, text: &str) -> String {
    match text.contains('@') {
        true => UNENCODED.to_owned(),
        false => format!("{part} no meaning here; remove {text:?}"),
    }
}

fn form(scheme: Scheme) -> String {
    format!("{}://HOST:PORT", scheme.name)
}

/// Decodes a percent-encoded text. `percent_decode_str` keeps a `%` without two digits; here it is an error.
fn decode(text: &str) -> Result<String, String> {
    let is_escape =
        |at: usize| text.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let wrong = || "user, password or host is not percent-encoded UTF-8; write % as %25".to_owned();
    if !text.match_indices('%').all(|(at, _)| is_escape(at)) {
        return Err(wrong());
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| wrong())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.user.is_some() || self.password.is_some();
        write!(f, "Address({self}, secure: {}, credentials: {credentials})", self.secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [Scheme; 2] = [Scheme { name: "redis", secure: false }, Scheme { name: "rediss", secure: true }];

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse("redis", url, &SCHEMES, 6379).map_err(|error| error.to_string())
    }

    fn parts(url: &str) -> (bool, Option<String>, Option<String>, String, u16) {
        let Address { secure, user, password, host, port } = parse(url).unwrap();
        (secure, user, password, host, port)
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_scheme_decides_about_tls_in_any_case() {
        assert_eq!(parts("redis://localhost"), (false, None, None, "localhost".into(), 6379));
        assert_eq!(parts("REDISS://h:1/"), (true, None, None, "h".into(), 1));
    }

    #[test]
    fn the_port_is_the_default_unless_it_is_given() {
        assert_eq!(parts("redis://127.0.0.1"), (false, None, None, "127.0.0.1".into(), 6379));
        assert_eq!(parts("redis://shop-a.internal:65535"), (false, None, None, "shop-a.internal".into(), 65535));
        assert_eq!(parts("redis://h:0"), (false, None, None, "h".into(), 0));
    }

    #[test]
    fn user_and_password_are_decoded_and_either_may_be_missing() {
        assert_eq!(parts("redis://:s3@h"), (false, None, text("s3"), "h".into(), 6379));
        assert_eq!(parts("redis://u:p%40%3a@[::1]:7"), (false, text("u"), text("p@:"), "::1".into(), 7));
        assert_eq!(parts("redis://u%3A:p%2f%3F%23%25@h"), (false, text("u:"), text("p/?#%"), "h".into(), 6379));
        assert_eq!(parts("redis://u:a@b:c@h"), (false, text("u"), text("a@b:c"), "h".into(), 6379));
        assert_eq!(parts("redis://u:s%C3%BC%20@h"), (false, text("u"), text("s\u{fc} "), "h".into(), 6379));
        assert_eq!(parts("redis://u:{<\"^`>}@h").2, text("{<\"^`>}"));
        assert_eq!(parts("redis://:@h"), (false, None, None, "h".into(), 6379));
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(parts("redis://token@[fe80::2]"), (false, text("token"), None, "fe80::2".into(), 6379));
        assert_eq!(parse("redis://u:p@[::1]:7").unwrap().to_string(), "[::1]:7");
        assert_eq!(parse("redis://h").unwrap().to_string(), "h:6379");
    }

    #[test]
    fn options_are_decoded_in_their_order_where_an_adapter_has_some() {
        let (address, options) =
            Address::parse_with_options("redis", "redis://h:1?b=2&a=x%2Cy&c", &SCHEMES, 1).unwrap();
        assert_eq!(address.to_string(), "h:1");
        let options: Vec<_> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(options, [("b", "2"), ("a", "x,y"), ("c", "")]);
        let (_, none) = Address::parse_with_options("redis", "redis://h:1?", &SCHEMES, 1).unwrap();
        assert_eq!(none, []);
    }

    #[test]
    fn an_error_names_the_address_without_its_password_and_the_fix() {
        let error = |url| parse(url).unwrap_err();
        let expected =
            |address: &str, reason: &str| format!("{address:?} is not an address of the redis adapter: {reason}");
        let schemes = "it does not begin with redis:// or rediss://";
        assert_eq!(error("http://u:secret@h"), expected("http://h", schemes));
        assert_eq!(error("u:secret@h:1"), expected("h:1", schemes));
        assert_eq!(error("u:secret@x://h"), expected("x://h", schemes));
        assert_eq!(error("redis://u:secret@"), expected("redis://", "the host is missing; write redis://HOST:PORT"));
        assert_eq!(error("redis://"), expected("redis://", "the host is missing; write redis://HOST:PORT"));
        let port = "the port is not a number up to 65535; write redis://HOST:PORT";
        assert_eq!(error("redis://h:many"), expected("redis://h:many", port));
        assert_eq!(error("redis://h:65536"), expected("redis://h:65536", port));
        assert_eq!(error("redis://h/3"), expected("redis://h/3", "a path has no meaning here; remove \"/3\""));
        assert_eq!(
            error("redis://h?db=3"),
            expected("redis://h?db=3", "options have no meaning here; remove \"?db=3\"")
        );
        assert_eq!(error("redis://h#3"), expected("redis://h#3", "a fragment has no meaning here; remove \"#3\""));
        let ipv6 = "the IPv6 address is not valid; write it in brackets, as [::1]";
        assert_eq!(error("redis://[::1"), expected("redis://[::1", ipv6));
        let encoding = "user, password or host is not percent-encoded UTF-8; write % as %25";
        for url in ["redis://:%zz@h", "redis://:%@h", "redis://%4:p@h", "redis://:%FF@h"] {
            assert_eq!(error(url), expected("redis://h", encoding), "{url}");
        }
    }

    #[test]
    fn no_text_contains_a_password_or_a_token() {
        for url in ["redis://u:secret@h", "redis://secret@h", "redis://:secret@h"] {
            let address = parse(url).unwrap();
            assert!(!format!("{address} {address:?}").contains("secret"), "{address:?}");
        }
        for url in ["redis://u:?secret@h", "redis://u:secret/1@h", "redis://u:1#secret@h", "redis://:/secret@h"] {
            assert!(parse(url).unwrap_err().ends_with(UNENCODED), "{url}");
        }
        for url in [
            "redis://u:secret@h/1",
            "redis://u:secret/@h",
            "redis://u:?secret@h",
            "redis://u:1#secret@h:1",
            "rides://u:#secret@h:1",
        ] {
            let error = Address::parse("redis", url, &SCHEMES, 6379).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
