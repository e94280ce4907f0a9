//! Close codes and the payload of a close frame (RFC 6455 §5.5.1 and §7.4).
//!
//! The decoder parses the close payload of a peer here, and `encode` writes one. Invariant: the code of a
//! [`CloseFrame`] from a peer is one that RFC 6455 allows on the wire.

use std::fmt;

use crate::ProtocolError;

/// A close code: the cause for which a connection ends (RFC 6455 §7.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The peer violated RFC 6455.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// The data do not have the type of the frame: text that is not UTF-8, or a payload that is not a deflate stream.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// A message violates a policy of the receiver for which there is no other code.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message is over a limit of the receiver.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// The server had an unexpected error.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// The service restarts. A client reconnects after a random delay (IANA registry).
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// The service is overloaded. A client should connect to another server or wait (IANA registry).
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);

    /// Whether a peer may send this code (RFC 6455 §7.4.1, §7.4.2).
    ///
    /// Allowed are the assigned codes 1000-1003 and 1007-1014, and 3000-4999, which belong to libraries and
    /// applications. 1004, 1005, 1006 and 1015 exist only inside an endpoint. All other codes are unassigned.
    pub const fn may_be_received(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The payload of a close frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code; `None` for an empty payload, which an endpoint reports as 1005 (RFC 6455 §7.1.5).
    pub code: Option<CloseCode>,
    /// A text for logs, of at most 123 bytes. It is not meant for users.
    pub reason: String,
}

impl CloseFrame {
    /// Parses an unmasked close payload.
    ///
    /// # Errors
    ///
    /// Returns an error for a payload of one byte, a code that a peer must not send, and a reason that is not UTF-8.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(CloseFrame::default()),
            [_] => return Err(ProtocolError::ClosePayloadTooShort),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.may_be_received() {
            return Err(ProtocolError::InvalidCloseCode { code });
        }
        let reason = std::str::from_utf8(reason)
            .map_err(|error| ProtocolError::InvalidCloseReason { index: error.valid_up_to() })?;
        Ok(CloseFrame { code: Some(code), reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_and_application_codes_may_be_received() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| CloseCode(*code).may_be_received()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn an_empty_payload_has_no_code() {
        assert_eq!(CloseFrame::parse(b""), Ok(CloseFrame::default()));
    }

    #[test]
    fn a_code_and_a_reason_are_read() {
        let close = CloseFrame::parse(b"\x03\xE8bye").expect("1000 with a reason is valid");
        assert_eq!(close.code, Some(CloseCode::NORMAL));
        assert_eq!(close.reason, "bye");
    }

    #[test]
    fn a_code_of_one_byte_is_refused() {
        let error = CloseFrame::parse(b"\x03").expect_err("one byte is not a code");
        assert_eq!(error, ProtocolError::ClosePayloadTooShort);
        assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
    }

    #[test]
    fn a_code_that_a_peer_must_not_send_is_refused() {
        let error = CloseFrame::parse(b"\x03\xED").expect_err("1005 is never sent");
        assert_eq!(error, ProtocolError::InvalidCloseCode { code: CloseCode(1005) });
        assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
    }

    #[test]
    fn a_reason_that_is_not_utf8_is_refused() {
        let error = CloseFrame::parse(b"\x03\xE8ab\xFF").expect_err("FF is never UTF-8");
        assert_eq!(error, ProtocolError::InvalidCloseReason { index: 2 });
        assert_eq!(error.close_code(), CloseCode::INVALID_PAYLOAD);
    }
}
