//! The text of an encrypted token: `Plug.Crypto.MessageEncryptor`.
//!
//! ```text
//! "XCP" "." base64url(nonce, 24 bytes | tag, 16 bytes | ciphertext)
//! ```
//!
//! The cipher is XChaCha20-Poly1305. Its associated data is the text `A128GCM`, the name of the cipher of `Plug.Crypto`
//! 1.x. [`Token`](crate::Token) calls this module with bytes and keys; the `payload` module encodes the bytes.
//!
//! Invariant: every token has a nonce of its own, from the random numbers of the operating system. A nonce has 24
//! bytes, which is enough never to draw the same one twice.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

use crate::error::TokenError;
use crate::key::Key;

/// The only key length of the cipher, in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

const HEADER: &str = "XCP.";
const ASSOCIATED_DATA: &[u8] = b"A128GCM";
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// Encrypts a payload.
///
/// # Errors
///
/// Returns [`TokenError::Random`] when the operating system has no random bytes for the nonce.
pub(crate) fn encrypt(mut payload: Vec<u8>, key: &Key) -> Result<String, TokenError> {
    let mut nonce = [0; NONCE_LENGTH];
    getrandom::fill(&mut nonce).map_err(|error| TokenError::Random(error.to_string()))?;
    let tag = cipher(key)
        .encrypt_inout_detached(&XNonce::from(nonce), ASSOCIATED_DATA, payload.as_mut_slice().into())
        .expect("a payload is shorter than 256 GiB, the limit for one nonce");

    let message = [nonce.as_slice(), tag.as_slice(), payload.as_slice()].concat();
    let mut text = String::from(HEADER);
    URL_SAFE_NO_PAD.encode_string(message, &mut text);
    Ok(text)
}

/// Returns the payload of a token that one of the keys has encrypted.
pub(crate) fn decrypt<K: AsRef<Key>>(text: &str, mut keys: impl Iterator<Item = K>) -> Option<Vec<u8>> {
    let message = URL_SAFE_NO_PAD.decode(text.strip_prefix(HEADER)?).ok()?;
    let (nonce, message) = message.split_first_chunk::<NONCE_LENGTH>()?;
    let (tag, ciphertext) = message.split_first_chunk::<TAG_LENGTH>()?;
    keys.find_map(|key| decrypt_with(nonce, tag, ciphertext, key.as_ref()))
}

/// Decrypts with one key. The cipher authenticates first, and does not decrypt when the tag does not match.
fn decrypt_with(nonce: &[u8; NONCE_LENGTH], tag: &[u8; TAG_LENGTH], ciphertext: &[u8], key: &Key) -> Option<Vec<u8>> {
    let mut payload = ciphertext.to_vec();
    cipher(key)
        .decrypt_inout_detached(&XNonce::from(*nonce), ASSOCIATED_DATA, payload.as_mut_slice().into(), &Tag::from(*tag))
        .ok()?;
    Some(payload)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(key).expect("Token checks the key length before it encrypts")
}
