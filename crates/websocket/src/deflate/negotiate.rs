//! What client and server agree on about permessage-deflate (RFC 7692 §5 and §7.1).
//!
//! The endpoint calls [`negotiate`] with the request's `Sec-WebSocket-Extensions`, answers with
//! [`Negotiated::response`], and hands the agreement to the decoder. The answers are those of Bandit
//! under Phoenix 1.8 (`conformance/recorded`), but for offers that cannot be honoured: see
//! [`negotiate`].

use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

const EXTENSION: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window that RFC 7692 §7.1.2 knows, in bits. We can read it, but not write it.
const MIN_CLIENT_WINDOW_BITS: u8 = 8;

/// The parameters of permessage-deflate that hold on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Negotiated {
    /// The value of `Sec-WebSocket-Extensions` in the response.
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

    /// The window that the server may compress with, 9 to 15 bits, 15 unless the client asked for less:
    /// the last argument of [`deflated_frame`](super::deflated_frame).
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The window that the client compresses with, 8 to 15 bits, 15 unless it announced less.
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// Whether every message of the client stands on its own, so that nothing is kept between them.
    pub fn client_no_context_takeover(&self) -> bool {
        self.client_no_context_takeover
    }

    /// Reads one offer; `None` declines it.
    fn accept(offer: &str) -> Option<Self> {
        let mut parts = split_unquoted(offer, ';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(EXTENSION) {
            return None;
        }
        let mut agreed = Negotiated::default();
        for parameter in parts {
            agreed.accept_parameter(parameter)?;
        }
        Some(agreed)
    }

    /// Adds one parameter; `None` when it is unknown, malformed, a repetition or out of reach.
    fn accept_parameter(&mut self, parameter: &str) -> Option<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
            None => (parameter, None),
        };
        match name.to_ascii_lowercase().as_str() {
            SERVER_NO_CONTEXT_TAKEOVER => set_flag(&mut self.server_no_context_takeover, value),
            CLIENT_NO_CONTEXT_TAKEOVER => set_flag(&mut self.client_no_context_takeover, value),
            SERVER_MAX_WINDOW_BITS => set_bits(&mut self.server_max_window_bits, window_bits(value?, MIN_WINDOW_BITS)?),
            // Without a value it only says that the client can be told a size (RFC 7692 §7.1.2.2).
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

/// The first offer of permessage-deflate that can be accepted, of all `Sec-WebSocket-Extensions`
/// values of a request, in their order; `None` when there is none, and the connection goes without.
///
/// An offer is declined when it has an unknown parameter, one twice, or a malformed value (RFC 7692
/// §7.1), and when it asks for a server window of 8 bits, which zlib cannot make of raw deflate:
/// Phoenix accepts that one and compresses with 9 bits, which such a client cannot inflate.
///
/// ```
/// use bennu_websocket::deflate::negotiate;
///
/// let header = "permessage-deflate; client_max_window_bits"; // what browsers send
/// let agreed = negotiate([header].into_iter()).expect("a valid offer");
/// assert_eq!(agreed.response(), "permessage-deflate;client_max_window_bits=15");
/// ```
pub fn negotiate<'o>(offers: impl Iterator<Item = &'o str>) -> Option<Negotiated> {
    offers.flat_map(|value| split_unquoted(value, ',')).find_map(Negotiated::accept)
}

/// The parts of a header value between separators that stand outside of quotes.
fn split_unquoted(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

/// A value, which may come as a quoted string (RFC 6455 §9.1); `None` when a quote is left open.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(value) => value.strip_suffix('"'),
        None => Some(value),
    }
}

/// A window size as RFC 7692 §7.1.2 writes it: decimal, without leading zeros.
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

    fn answer(offers: &[&str]) -> Option<String> {
        negotiate(offers.iter().copied()).map(|agreed| agreed.response())
    }

    #[test]
    fn offers_are_answered_as_phoenix_answers_them() {
        for (offer, response) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate;client_max_window_bits=15"),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
            ),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate;server_max_window_bits=10"),
        ] {
            assert_eq!(answer(&[offer]).as_deref(), Some(response));
        }
    }

    #[test]
    fn an_offer_that_cannot_be_honoured_is_declined() {
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
            assert_eq!(answer(&[&offer]), None, "{offer}");
        }
    }

    #[test]
    fn an_unknown_extension_is_no_offer() {
        assert_eq!(answer(&["x-webkit-deflate-frame"]), None);
        assert_eq!(answer(&[""]), None);
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn the_first_acceptable_offer_wins_within_a_header_and_across_headers() {
        let expected = Some("permessage-deflate;server_max_window_bits=12".to_owned());
        assert_eq!(
            answer(&[
                "x-foo, permessage-deflate; bogus, permessage-deflate; server_max_window_bits=12, permessage-deflate"
            ]),
            expected
        );
        assert_eq!(answer(&["permessage-deflate; bogus", "permessage-deflate;server_max_window_bits=12"]), expected);
    }

    #[test]
    fn a_separator_inside_of_quotes_separates_nothing() {
        assert_eq!(answer(&["permessage-deflate; x=\", permessage-deflate, \""]), None);
    }

    #[test]
    fn a_value_may_be_quoted_and_spaced_and_a_name_in_any_case() {
        assert_eq!(
            answer(&["Permessage-Deflate ;  Client_Max_Window_Bits = \"11\" "]).as_deref(),
            Some("permessage-deflate;client_max_window_bits=11")
        );
    }

    #[test]
    fn the_windows_are_15_bits_unless_agreed_otherwise() {
        let agreed = Negotiated::default();
        assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (15, 15));
        let agreed = negotiate(["permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"].into_iter())
            .expect("both in range");
        assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (9, 8));
    }
}
