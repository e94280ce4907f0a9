//! The computations of the opening handshake (RFC 6455 §4.1 and §4.2.2).
//!
//! Methods, headers and status codes are HTTP and belong to the endpoint that owns the request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The value that RFC 6455 §1.3 fixes, so that no server answers a handshake by accident.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Key` of a client, of 16 bytes that nobody can predict (RFC 6455 §4.1).
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

/// The `Sec-WebSocket-Accept` for the value of `Sec-WebSocket-Key`, which is taken as it was sent.
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
