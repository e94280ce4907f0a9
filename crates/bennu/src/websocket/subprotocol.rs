//! `Sec-WebSocket-Protocol`: choosing one, and the bearer token that browsers can only send there.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderMap, header};

/// phoenix.js sends `authToken` as one more subprotocol with this prefix.
const BEARER: &str = "base64url.bearer.phx.";

/// The subprotocol that phoenix.js names beside its token.
const PHOENIX: &str = "phoenix";

/// What came of the header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// What the response names.
    pub(crate) chosen: Option<String>,
    /// The client named some, and none is known: the connection is refused.
    pub(crate) none_known: bool,
    pub(crate) auth_token: Option<String>,
    /// The client sent a token, and the mount reads none.
    pub(crate) unread_token: bool,
}

/// Reads the header. `known` are the mount's subprotocols in its own order of preference.
pub(crate) fn read(headers: &HeaderMap, known: &[String], auth_token: bool) -> Offered {
    let texts = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut names: Vec<&str> = texts.flat_map(|text| text.split(',')).map(str::trim).collect();
    let unread_token = !auth_token && names.iter().any(|name| name.starts_with(BEARER));
    let mut offered = Offered { unread_token, ..Offered::default() };
    if auth_token {
        let before = names.len();
        let tokens: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(BEARER)).collect();
        // Two tokens are no token: nobody can say which is meant.
        if let [token] = tokens[..] {
            offered.auth_token = decode(token);
        }
        names.retain(|name| !name.starts_with(BEARER));
        if names.is_empty() && before > 0 {
            return offered;
        }
    }
    let phoenix = [PHOENIX.to_owned()];
    let known = if auth_token && known.is_empty() { &phoenix[..] } else { known };
    if known.is_empty() || names.is_empty() {
        return offered;
    }
    offered.chosen = known.iter().find(|name| names.contains(&name.as_str())).cloned();
    offered.none_known = offered.chosen.is_none();
    offered
}

fn decode(token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).or_else(|_| URL_SAFE.decode(token)).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(header: &str) -> HeaderMap {
        [(header::SEC_WEBSOCKET_PROTOCOL, header.parse().unwrap())].into_iter().collect()
    }

    fn known(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_mount_s_order_decides_and_unknown_names_are_refused() {
        let names = known(&["phoenix", "other"]);
        assert_eq!(read(&offer("x, other, phoenix"), &names, false).chosen.as_deref(), Some("phoenix"));
        assert!(read(&offer("nope"), &names, false).none_known);
        assert!(read(&offer(""), &names, false).none_known);
        assert_eq!(read(&HeaderMap::new(), &names, false), Offered::default());
        assert_eq!(read(&offer("foo"), &[], false), Offered::default());
    }

    #[test]
    fn a_bearer_token_is_decoded_wherever_it_stands() {
        for header in ["phoenix, base64url.bearer.phx.YWJj", "base64url.bearer.phx.YWJj, phoenix"] {
            let offered = read(&offer(header), &[], true);
            assert_eq!((offered.chosen.as_deref(), offered.auth_token.as_deref()), (Some("phoenix"), Some("abc")));
        }
        assert!(read(&offer("phoenix, base64url.bearer.phx.YWJj"), &[], false).unread_token);
        let alone = read(&offer("base64url.bearer.phx.YWJj"), &[], true);
        assert_eq!((alone.chosen, alone.auth_token.as_deref(), alone.none_known), (None, Some("abc"), false));
    }

    #[test]
    fn two_tokens_or_one_that_is_no_base64_are_no_token() {
        for header in ["phoenix, base64url.bearer.phx.YQ, base64url.bearer.phx.YQ", "phoenix, base64url.bearer.phx.%%%"]
        {
            assert_eq!(read(&offer(header), &[], true).auth_token, None, "{header}");
        }
        assert!(read(&offer("foo, base64url.bearer.phx.YQ"), &[], true).none_known);
    }
}
