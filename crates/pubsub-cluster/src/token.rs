//! A name as one token, for engines that give some characters a meaning. Pure.
//!
//! A topic may hold anything. Invariants: no two names have the same token (but for what SHA-256 promises), and a token is
//! never empty and at most 1,024 bytes, so that what holds it stays within what engines read.

use sha2::{Digest, Sha256};

/// Bytes of a token.
const LONGEST: usize = 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// What stands for itself in an engine's tokens, beside letters and digits of ASCII. Any other byte is `=` with two
/// hexadecimal digits; what gets too long is `=`, a mark and the name's SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Alphabet {
    /// Bytes that have no meaning to the engine. `=` is none of them.
    pub plain: &'static [u8],
    /// Tells a digest from a name. No hexadecimal digit.
    pub digest_mark: u8,
}

impl Alphabet {
    /// Writes the token of a name.
    pub fn write(self, out: &mut Vec<u8>, name: &str) {
        let strange = name.bytes().filter(|byte| !self.stands_for_itself(*byte)).count();
        if name.is_empty() {
            out.push(b'=');
        } else if name.len() + 2 * strange > LONGEST {
            out.extend_from_slice(&[b'=', self.digest_mark]);
            Sha256::digest(name.as_bytes()).into_iter().for_each(|byte| write_hex(out, byte));
        } else if strange == 0 {
            out.extend_from_slice(name.as_bytes());
        } else {
            for byte in name.bytes() {
                if self.stands_for_itself(byte) {
                    out.push(byte);
                } else {
                    out.push(b'=');
                    write_hex(out, byte);
                }
            }
        }
    }

    /// The token of a name.
    pub fn token(self, name: &str) -> String {
        let mut out = Vec::new();
        self.write(&mut out, name);
        String::from_utf8(out).expect("a token is ASCII")
    }

    fn stands_for_itself(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || self.plain.contains(&byte)
    }
}

/// The name of a token. `None` for a digest, and for what is no token.
pub fn read(token: &str) -> Option<String> {
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
        ALPHABET.token(name)
    }

    #[test]
    fn a_name_is_one_token() {
        assert_eq!(token("room:lobby"), "room:lobby");
        assert_eq!(token("a.b *>=\u{e9}\n"), "a=2Eb=20=2A=3E=3D=C3=A9=0A");
        assert_eq!(token(""), "=");
        assert_eq!(token(&"x".repeat(LONGEST)).len(), LONGEST);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((&token(&long)[..2], token(&long).len()), ("=#", 66));
        assert_ne!(token(&long), token(&"y".repeat(LONGEST + 1)));
        assert_eq!(token(&".".repeat(LONGEST)).len(), 66);
        assert_eq!([read("=#00"), read("a=2"), read("=e9"), read("=FF")], [None, None, None, None]);
    }

    proptest! {
        #[test]
        fn no_two_names_have_the_same_token(one in "[a=2E.# ]{0,6}", other in "[a=2E.# ]{0,6}") {
            prop_assert_eq!(one == other, token(&one) == token(&other));
        }

        #[test]
        fn nothing_in_a_token_has_a_meaning_and_a_short_one_is_read(name in ".{0,600}") {
            let token = token(&name);
            prop_assert!((1..=LONGEST).contains(&token.len()));
            prop_assert!(token.bytes().all(|byte| ALPHABET.stands_for_itself(byte) || b"=#".contains(&byte)));
            prop_assert!(token.starts_with("=#") || read(&token) == Some(name));
        }
    }
}
