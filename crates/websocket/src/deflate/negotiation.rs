//! The negotiation of permessage-deflate between client and server (RFC 7692 §5 and §7.1).
//!
//! The WebSocket upgrade of `bennu` calls [`negotiate`] with the request's `Sec-WebSocket-Extensions`. It sends
//! [`DeflateParameters::response`] and passes the parameters to the decoder. The responses are those of Bandit under
//! Phoenix 1.8 (`conformance/recorded`), except for offers that Bennu declines; see [`negotiate`].

use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

const EXTENSION: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window of RFC 7692 §7.1.2, in bits. zlib can inflate it, but cannot compress with it.
const MIN_CLIENT_WINDOW_BITS: u8 = 8;

/// The agreed parameters of permessage-deflate on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl DeflateParameters {
    /// Returns the value of `Sec-WebSocket-Extensions` for the response.
    pub fn response(&self) -> String {
        let mut response = String::from(EXTENSION);
        for (agreed, name) in [
            (self.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER),
            (self.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER),
        ] {
            if agreed {
                response.push(';');
                response.push_str(name);
            }
        }
        for (agreed, name) in [
            (self.server_max_window_bits, SERVER_MAX_WINDOW_BITS),
            (self.client_max_window_bits, CLIENT_MAX_WINDOW_BITS),
        ] {
            if let Some(bits) = agreed {
                response.push_str(&format!(";{name}={bits}"));
            }
        }
        response
    }

    /// The window of the server's compression: 9 to 15 bits, and 15 unless the client requested less. It is the last
    /// argument of [`deflated_frame`](super::deflated_frame).
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The window of the client's compression: 8 to 15 bits, and 15 unless the client announced less.
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// Whether the client compresses every message on its own, so that the server keeps no history.
    pub fn client_no_context_takeover(&self) -> bool {
        self.client_no_context_takeover
    }

    /// Parses one offer; `None` declines it.
    fn accept(offer: &str) -> Option<Self> {
        let mut parts = split_unquoted(offer, ';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(EXTENSION) {
            return None;
        }
        let mut agreed = DeflateParameters::default();
        for parameter in parts {
            agreed.accept_parameter(parameter)?;
        }
        Some(agreed)
    }

    /// Adds one parameter; `None` when it is unknown, malformed, repeated or out of range.
    fn accept_parameter(&mut self, parameter: &str) -> Option<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
            None => (parameter, None),
        };
        match name.to_ascii_lowercase().as_str() {
            SERVER_NO_CONTEXT_TAKEOVER => set_flag(&mut self.server_no_context_takeover, value),
            CLIENT_NO_CONTEXT_TAKEOVER => set_flag(&mut self.client_no_context_takeover, value),
            SERVER_MAX_WINDOW_BITS => set_bits(&mut self.server_max_window_bits, window_bits(value?, MIN_WINDOW_BITS)?),
            // Without a value, the client supports any window size that the server chooses (RFC 7692 §7.1.2.2).
            CLIENT_MAX_WINDOW_BITS => set_bits(
                &mut self.client_max_window_bits,
                match value {
                    Some(value) => window_bits(value, MIN_CLIENT_WINDOW_BITS)?,
                    None => MAX_WINDOW_BITS,
                },
            ),
            _ => None,
        }
    }
}

/// Accepts the first possible offer of permessage-deflate in the `Sec-WebSocket-Extensions` values of a request.
/// Returns `None` when there is none; the connection then has no compression.
///
/// An offer is declined when it has an unknown parameter, a repeated one, or a malformed value (RFC 7692 §7.1). It is
/// also declined when it requests a server window of 8 bits, for which zlib cannot compress raw deflate. Phoenix
/// accepts such an offer and compresses with 9 bits, which the client cannot inflate.
///
/// ```
/// use bennu_websocket::deflate::negotiate;
///
/// let header = "permessage-deflate; client_max_window_bits"; // the offer of browsers
/// let agreed = negotiate([header].into_iter()).expect("a valid offer");
/// assert_eq!(agreed.response(), "permessage-deflate;client_max_window_bits=15");
/// ```
pub fn negotiate<'o>(offers: impl Iterator<Item = &'o str>) -> Option<DeflateParameters> {
    offers.flat_map(|value| split_unquoted(value, ',')).find_map(DeflateParameters::accept)
}

/// Splits a header value at the separators outside quotes.
fn split_unquoted(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

/// Removes the quotes of a quoted value (RFC 6455 §9.1); `None` when the closing quote is missing.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(value) => value.strip_suffix('"'),
        None => Some(value),
    }
}

/// Parses a window size in the form of RFC 7692 §7.1.2: decimal, without leading zeros.
fn window_bits(value: &str, min: u8) -> Option<u8> {
    let digits = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    let bits = value.parse().ok().filter(|_| digits)?;
    (min..=MAX_WINDOW_BITS).contains(&bits).then_some(bits)
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Option<()> {
    let fresh = !std::mem::replace(flag, true);
    (fresh && value.is_none()).then_some(())
}

fn set_bits(bits: &mut Option<u8>, value: u8) -> Option<()> {
    bits.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(offers: &[&str]) -> Option<String> {
        negotiate(offers.iter().copied()).map(|agreed| agreed.response())
    }

    #[test]
    fn the_responses_to_offers_are_those_of_phoenix() {
        for (offer, expected) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate;client_max_window_bits=15"),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
            ),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate;server_max_window_bits=10"),
        ] {
            assert_eq!(response(&[offer]).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_offer_with_an_impossible_parameter_is_declined() {
        for parameter in [
            "bogus",
            "",
            "server_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=15",
            "server_max_window_bits",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=+9",
            "server_max_window_bits=",
            "server_max_window_bits=\"10",
            "client_max_window_bits=7",
            "client_max_window_bits=256",
            "client_max_window_bits=ten",
        ] {
            let offer = format!("permessage-deflate; {parameter}");
            assert_eq!(response(&[&offer]), None, "{offer}");
        }
    }

    #[test]
    fn an_unknown_extension_is_ignored() {
        assert_eq!(response(&["x-webkit-deflate-frame"]), None);
        assert_eq!(response(&[""]), None);
        assert_eq!(response(&[]), None);
    }

    #[test]
    fn the_first_acceptable_offer_wins_within_a_header_and_across_headers() {
        let expected = Some("permessage-deflate;server_max_window_bits=12".to_owned());
        assert_eq!(
            response(&[
                "x-foo, permessage-deflate; bogus, permessage-deflate; server_max_window_bits=12, permessage-deflate"
            ]),
            expected
        );
        assert_eq!(response(&["permessage-deflate; bogus", "permessage-deflate;server_max_window_bits=12"]), expected);
    }

    #[test]
    fn a_separator_inside_quotes_is_not_a_separator() {
        assert_eq!(response(&["permessage-deflate; x=\", permessage-deflate, \""]), None);
    }

    #[test]
    fn a_value_can_be_quoted_and_spaced_and_a_name_can_have_any_case() {
        assert_eq!(
            response(&["Permessage-Deflate ;  Client_Max_Window_Bits = \"11\" "]).as_deref(),
            Some("permessage-deflate;client_max_window_bits=11")
        );
    }

    #[test]
    fn the_windows_are_15_bits_unless_agreed_otherwise() {
        let agreed = DeflateParameters::default();
        assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (15, 15));
        let agreed = negotiate(["permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"].into_iter())
            .expect("both in range");
        assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (9, 8));
    }
}
