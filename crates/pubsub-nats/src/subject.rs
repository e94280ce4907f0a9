//! A name as one token of a NATS subject. Pure.
//!
//! NATS gives dots, `*`, `>` and white space a meaning, and a topic may hold any of them. Invariants: no two names have the
//! same token (but for what SHA-256 promises), and a token is never empty and at most [`LONGEST`] bytes, so that a command
//! stays within the 4,096 bytes that a server reads.

use sha2::{Digest, Sha256};

/// Bytes of a token.
const LONGEST: usize = 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes the token of a name.
pub(crate) fn write(out: &mut Vec<u8>, name: &str) {
    let strange = name.bytes().filter(|byte| !stands_for_itself(*byte)).count();
    if name.is_empty() {
        out.push(b'=');
    } else if name.len() + 2 * strange > LONGEST {
        out.extend_from_slice(b"=#");
        Sha256::digest(name.as_bytes()).into_iter().for_each(|byte| write_hex(out, byte));
    } else if strange == 0 {
        out.extend_from_slice(name.as_bytes());
    } else {
        for byte in name.bytes() {
            if stands_for_itself(byte) {
                out.push(byte);
            } else {
                out.push(b'=');
                write_hex(out, byte);
            }
        }
    }
}

fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_:/@+,~".contains(&byte)
}

fn write_hex(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(name: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, name);
        String::from_utf8(out).unwrap()
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
    }

    proptest! {
        #[test]
        fn no_two_names_have_the_same_token(one in "[a=2E.# ]{0,6}", other in "[a=2E.# ]{0,6}") {
            prop_assert_eq!(one == other, token(&one) == token(&other));
        }

        #[test]
        fn nothing_in_a_token_has_a_meaning(name in ".{0,600}") {
            let token = token(&name);
            prop_assert!((1..=LONGEST).contains(&token.len()));
            prop_assert!(token.bytes().all(|byte| stands_for_itself(byte) || b"=#".contains(&byte)));
        }
    }
}
