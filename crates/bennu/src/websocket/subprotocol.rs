//! The header `Sec-WebSocket-Protocol`: the selection of a subprotocol, and the bearer token of phoenix.js.
//!
//! Browsers can add no other header to a handshake, so phoenix.js sends its `authToken` here. [`super::upgrade`] calls
//! [`select`] once for each handshake.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderMap, header};

/// The prefix of the subprotocol in which phoenix.js sends its `authToken`.
const BEARER: &str = "base64url.bearer.phx.";

/// The subprotocol that phoenix.js offers beside its token.
const PHOENIX: &str = "phoenix";

/// The result of [`select`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The subprotocol for the header of the response.
    pub(crate) subprotocol: Option<String>,
    /// Whether the client offered subprotocols and the mount supports none of them; the handshake is refused.
    pub(crate) is_unsupported: bool,
    pub(crate) auth_token: Option<String>,
    /// Whether the client sent a token that the mount does not read.
    pub(crate) has_unread_token: bool,
}

/// Selects a subprotocol and decodes the token. `supported` contains the mount's subprotocols in order of preference;
/// `reads_token` is the mount's option `auth_token`.
pub(crate) fn select(headers: &HeaderMap, supported: &[String], reads_token: bool) -> Selection {
    let texts = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut offered: Vec<&str> = texts.flat_map(|text| text.split(',')).map(str::trim).collect();
    let has_unread_token = !reads_token && offered.iter().any(|name| name.starts_with(BEARER));
    let mut selection = Selection { has_unread_token, ..Selection::default() };
    if reads_token {
        let before = offered.len();
        let tokens: Vec<&str> = offered.iter().filter_map(|name| name.strip_prefix(BEARER)).collect();
        // Several tokens are ambiguous, so none is read.
        if let [token] = tokens[..] {
            selection.auth_token = decode(token);
        }
        offered.retain(|name| !name.starts_with(BEARER));
        if offered.is_empty() && before > 0 {
            return selection;
        }
    }
    let phoenix = [PHOENIX.to_owned()];
    let supported = if reads_token && supported.is_empty() { &phoenix[..] } else { supported };
    if supported.is_empty() || offered.is_empty() {
        return selection;
    }
    selection.subprotocol = supported.iter().find(|name| offered.contains(&name.as_str())).cloned();
    selection.is_unsupported = selection.subprotocol.is_none();
    selection
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

    fn supported(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_mounts_order_of_preference_decides_and_unsupported_names_are_refused() {
        let names = supported(&["phoenix", "other"]);
        assert_eq!(select(&offer("x, other, phoenix"), &names, false).subprotocol.as_deref(), Some("phoenix"));
        assert!(select(&offer("nope"), &names, false).is_unsupported);
        assert!(select(&offer(""), &names, false).is_unsupported);
        assert_eq!(select(&HeaderMap::new(), &names, false), Selection::default());
        assert_eq!(select(&offer("foo"), &[], false), Selection::default());
    }

    #[test]
    fn a_bearer_token_is_decoded_at_any_position() {
        for header in ["phoenix, base64url.bearer.phx.YWJj", "base64url.bearer.phx.YWJj, phoenix"] {
            let selection = select(&offer(header), &[], true);
            let (subprotocol, token) = (selection.subprotocol.as_deref(), selection.auth_token.as_deref());
            assert_eq!((subprotocol, token), (Some("phoenix"), Some("abc")));
        }
        assert!(select(&offer("phoenix, base64url.bearer.phx.YWJj"), &[], false).has_unread_token);
        let alone = select(&offer("base64url.bearer.phx.YWJj"), &[], true);
        assert_eq!((alone.subprotocol, alone.auth_token.as_deref(), alone.is_unsupported), (None, Some("abc"), false));
    }

    #[test]
    fn two_tokens_or_a_token_that_is_not_base64_are_not_read() {
        for header in ["phoenix, base64url.bearer.phx.YQ, base64url.bearer.phx.YQ", "phoenix, base64url.bearer.phx.%%%"]
        {
            assert_eq!(select(&offer(header), &[], true).auth_token, None, "{header}");
        }
        assert!(select(&offer("foo, base64url.bearer.phx.YQ"), &[], true).is_unsupported);
    }
}
