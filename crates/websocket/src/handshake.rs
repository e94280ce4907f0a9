//! The keys of the opening handshake (RFC 6455 §4.1 and §4.2.2).
//!
//! `bennu` and `bennu-client` call it. They also own the HTTP request with its method, headers and status codes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The constant of RFC 6455 §1.3. A server that does not support WebSocket cannot compute an accept key without it.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns the `Sec-WebSocket-Key` of a client. `nonce` must be random (RFC 6455 §4.1).
///
/// ```
/// use bennu_websocket::handshake::request_key;
///
/// // RFC 6455 §1.3
/// assert_eq!(request_key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
/// ```
pub fn request_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// Returns the `Sec-WebSocket-Accept` for the value of `Sec-WebSocket-Key`. The value is not decoded.
///
/// ```
/// use bennu_websocket::handshake::accept_key;
///
/// // RFC 6455 §1.3
/// assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_key_always_has_28_characters() {
        assert_eq!(accept_key(b"").len(), 28);
        assert_eq!(accept_key(&[0xFF; 1000]).len(), 28);
    }
}
