//! The text of a signed token: `Plug.Crypto.MessageVerifier`.
//!
//! ```text
//! "SFMyNTY" "." base64url(payload) "." base64url(HMAC-SHA256(key, everything before this dot))
//! ```
//!
//! `SFMyNTY` is base64url of `HS256`. No part is padded. [`Token`](crate::Token) calls this module with bytes and keys;
//! the `payload` module encodes the bytes.
//!
//! Invariants: MACs are compared in constant time. The payload is decoded from base64 only after its MAC has matched.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::key::Key;

/// The header of every token of `Phoenix.Token.sign`, with its dot.
const HEADER: &str = "SFMyNTY.";

/// The length of an HMAC-SHA256 in bytes.
const MAC_LENGTH: usize = 32;

/// Signs a payload.
pub(crate) fn sign(payload: &[u8], key: &Key) -> String {
    let mut text = String::from(HEADER);
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = mac(text.as_bytes(), key).finalize().into_bytes();
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

/// Returns the payload of a token that one of the keys has signed.
pub(crate) fn verify<K: AsRef<Key>>(text: &str, keys: impl Iterator<Item = K>) -> Option<Vec<u8>> {
    let (signed, signature) = text.rsplit_once('.')?;
    let payload = signed.strip_prefix(HEADER)?;

    let mut expected = [0; MAC_LENGTH];
    match URL_SAFE_NO_PAD.decode_slice(signature, &mut expected) {
        Ok(MAC_LENGTH) => {}
        _ => return None,
    }

    let is_genuine =
        keys.map(|key| mac(signed.as_bytes(), key.as_ref())).any(|mac| mac.verify_slice(&expected).is_ok());
    if !is_genuine {
        return None;
    }
    URL_SAFE_NO_PAD.decode(payload).ok()
}

fn mac(message: &[u8], key: &Key) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}
