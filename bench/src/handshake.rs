//! Both sides of the opening handshake (RFC 6455 section 4).
//!
//! It owns the load generator's request, the check of the server's response, and the raw loop's response.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The WebSocket mount of the server under test.
const PATH: &str = "/socket/websocket?vsn=2.0.0";
/// The example key of RFC 6455: with one fixed key, one comparison checks every answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const END: &[u8] = b"\r\n\r\n";

/// Returns the upgrade request with the headers that every browser sends.
pub(crate) fn request(port: u16) -> Vec<u8> {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nOrigin: http://127.0.0.1:{port}\r\n\r\n"
    )
    .into_bytes()
}

/// Returns the size of the HTTP head in `bytes`, its empty line included; `None` while it is incomplete.
pub(crate) fn head_size(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(END.len()).position(|window| window == END)?;
    Some(end + END.len())
}

/// Checks that `head` accepts [`request`].
///
/// # Errors
///
/// The status is not 101, or the accept key is wrong.
pub(crate) fn check_response(head: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(head);
    let status = text.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(format!("the server refused the upgrade: {status}")));
    }
    if header(head, "sec-websocket-accept") != Some(ACCEPT.as_bytes()) {
        return Err(io::Error::other("the server's Sec-WebSocket-Accept is wrong"));
    }
    Ok(())
}

/// Returns the 101 response to the request in `head`; `None` if the request has no key.
pub(crate) fn response(head: &[u8]) -> Option<Vec<u8>> {
    let key = header(head, "sec-websocket-key")?;
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    Some(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes(),
    )
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_to_our_request_passes_our_check() {
        let request = request(4000);
        assert_eq!(head_size(&request), Some(request.len()));
        let response = response(&request).expect("the request has a key");
        assert_eq!(head_size(&response), Some(response.len()));
        check_response(&response).unwrap();
    }

    #[test]
    fn a_refusal_and_a_wrong_key_are_different_errors() {
        let refused = check_response(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap_err();
        assert!(refused.to_string().ends_with("HTTP/1.1 403 Forbidden"));
        let wrong = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: no\r\n\r\n";
        assert!(check_response(wrong).unwrap_err().to_string().contains("Accept"));
    }
}
