//! Encodes a name as one token, for engines in which some characters have a meaning. Pure.
//!
//! The NATS and the Zenoh adapter encode topics and node names, which may contain any character. Invariants: no two
//! names have the same token, as far as SHA-256 has no collisions; a token is not empty and has at most 1,024 bytes, so
//! that a command or key stays within the limits of the engine.

use sha2::{Digest, Sha256};

/// The largest size of a token in bytes.
const MAX_TOKEN_BYTES: usize = 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The characters of an engine's tokens. ASCII letters, digits and the plain bytes stay as they are. Any other byte
/// becomes `=` and two hexadecimal digits. A token that would be too long becomes `=`, the mark, and the name's SHA-256
/// in hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Alphabet {
    /// The bytes that have no meaning to the engine. `=` is not one of them.
    pub plain: &'static [u8],
    /// The mark of a digest. It is not a hexadecimal digit.
    pub digest_mark: u8,
}

impl Alphabet {
    /// Appends the token of a name.
    pub fn encode_into(self, out: &mut Vec<u8>, name: &str) {
        let strange = name.bytes().filter(|byte| !self.is_plain(*byte)).count();
        if name.is_empty() {
            out.push(b'=');
        } else if name.len() + 2 * strange > MAX_TOKEN_BYTES {
            out.extend_from_slice(&[b'=', self.digest_mark]);
            Sha256::digest(name.as_bytes()).into_iter().for_each(|byte| write_hex(out, byte));
        } else if strange == 0 {
            out.extend_from_slice(name.as_bytes());
        } else {
            for byte in name.bytes() {
                if self.is_plain(byte) {
                    out.push(byte);
                } else {
                    out.push(b'=');
                    write_hex(out, byte);
                }
            }
        }
    }

    /// Returns the token of a name.
    pub fn encode(self, name: &str) -> String {
        let mut out = Vec::new();
        self.encode_into(&mut out, name);
        String::from_utf8(out).expect("a token is ASCII")
    }

    fn is_plain(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || self.plain.contains(&byte)
    }
}

/// Returns the name of a token. `None` for a digest, and for a text that is not a token.
pub fn decode(token: &str) -> Option<String> {
    if token == "=" {
        return Some(String::new());
    }
    let mut name = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'=' {
            name.push(*first);
            continue;
        }
        let [high, low, behind @ ..] = rest else { return None };
        let digit = |byte: u8| HEX.iter().position(|digit| *digit == byte);
        name.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = behind;
    }
    String::from_utf8(name).ok()
}

fn write_hex(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALPHABET: Alphabet = Alphabet { plain: b"-_:/@+,~", digest_mark: b'#' };

    fn token(name: &str) -> String {
        ALPHABET.encode(name)
    }

    #[test]
    fn a_name_is_one_token() {
        assert_eq!(token("room:lobby"), "room:lobby");
        assert_eq!(token("a.b *>=\u{e9}\n"), "a=2Eb=20=2A=3E=3D=C3=A9=0A");
        assert_eq!(token(""), "=");
        assert_eq!(token(&"x".repeat(MAX_TOKEN_BYTES)).len(), MAX_TOKEN_BYTES);
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!((&token(&long)[..2], token(&long).len()), ("=#", 66));
        assert_ne!(token(&long), token(&"y".repeat(MAX_TOKEN_BYTES + 1)));
        assert_eq!(token(&".".repeat(MAX_TOKEN_BYTES)).len(), 66);
        assert_eq!([decode("=#00"), decode("a=2"), decode("=e9"), decode("=FF")], [None, None, None, None]);
    }

    proptest! {
        #[test]
        fn no_two_names_have_the_same_token(one in "[a=2E.# ]{0,6}", other in "[a=2E.# ]{0,6}") {
            prop_assert_eq!(one == other, token(&one) == token(&other));
        }

        #[test]
        fn a_token_has_no_special_character_and_a_short_one_is_decoded(name in ".{0,600}") {
            let token = token(&name);
            prop_assert!((1..=MAX_TOKEN_BYTES).contains(&token.len()));
            prop_assert!(token.bytes().all(|byte| ALPHABET.is_plain(byte) || b"=#".contains(&byte)));
            prop_assert!(token.starts_with("=#") || decode(&token) == Some(name));
        }
    }
}
