//! Laws for arbitrary values, arbitrary bytes and every change to a token.

use std::collections::BTreeMap;

use bennu_token::term::{from_bytes, to_bytes};
use bennu_token::{MaxAge, Secret, Token, TokenError};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Shape {
    Unit,
    New(Option<Box<Shape>>),
    Tuple(u8, String),
    Struct { numbers: Vec<i128>, flags: BTreeMap<String, bool> },
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has finite numbers only", |float| {
            serde_json::Number::from_f64(float).map(Value::from)
        }),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 128, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Bytes that begin like a term, with many tags and small lengths.
fn term_like() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::sample::select(vec![70, 97, 98, 100, 104, 105, 106, 107, 108, 109, 110, 111, 115, 116, 118, 119]);
    let byte = prop_oneof![3 => tags, 3 => 0..4_u8, 1 => any::<u8>()];
    prop::collection::vec(byte, 0..200).prop_map(|mut bytes| {
        bytes.insert(0, 131);
        bytes
    })
}

fn read_as_everything(bytes: &[u8]) {
    let _ = from_bytes::<Value>(bytes);
    let _ = from_bytes::<Shape>(bytes);
    let _ = from_bytes::<String>(bytes);
    let _ = from_bytes::<Vec<u8>>(bytes);
    let _ = from_bytes::<(Option<i128>, [u8; 4])>(bytes);
    let _ = from_bytes::<BTreeMap<String, serde::de::IgnoredAny>>(bytes);
    let _ = from_bytes::<serde::de::IgnoredAny>(bytes);
}

fn secret() -> Secret {
    Secret::new("a secret of enough bytes for a test").unwrap()
}

proptest! {
    #[test]
    fn any_json_is_unchanged_by_a_term(value in json()) {
        let bytes = to_bytes(&value).unwrap();
        prop_assert_eq!(from_bytes::<Value>(&bytes).unwrap(), value);
    }

    #[test]
    fn any_enum_is_unchanged_by_a_term(
        numbers in prop::collection::vec(any::<i128>(), 0..9),
        flags in prop::collection::btree_map(any::<String>(), any::<bool>(), 0..9),
        byte in any::<u8>(),
        text in any::<String>(),
    ) {
        let shapes = vec![
            Shape::Unit,
            Shape::New(None),
            Shape::New(Some(Box::new(Shape::Tuple(byte, text)))),
            Shape::Struct { numbers, flags },
        ];
        let bytes = to_bytes(&shapes).unwrap();
        prop_assert_eq!(from_bytes::<Vec<Shape>>(&bytes).unwrap(), shapes);
    }

    #[test]
    fn any_integer_is_unchanged_by_a_term(signed in any::<i128>(), unsigned in any::<u128>(), shift in 0..128_u32) {
        let value = (signed >> shift, unsigned >> shift);
        prop_assert_eq!(from_bytes(&to_bytes(&value).unwrap()), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_never_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn bytes_like_terms_never_cause_a_panic(bytes in term_like()) {
        read_as_everything(&bytes);
    }

    #[test]
    fn a_damaged_term_never_causes_a_panic(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = to_bytes(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read_as_everything(&bytes);
        read_as_everything(&bytes[..at]);
    }

    #[test]
    fn arbitrary_text_is_not_a_token(text in ".{0,200}") {
        let secret = secret();
        let token = Token::new(&secret, "salt").iterations(1);
        prop_assert!(token.verify::<Value>(&text).is_err());
        prop_assert!(token.decrypt::<Value>(&text).is_err());
    }

    #[test]
    fn any_json_is_unchanged_by_a_token(value in json()) {
        let secret = secret();
        let token = Token::new(&secret, "salt").iterations(1);
        let signed = token.sign(&value).unwrap();
        let encrypted = token.encrypt(&value).unwrap();
        prop_assert_eq!(token.verify::<Value>(&signed), Ok(value.clone()));
        prop_assert_eq!(token.decrypt::<Value>(&encrypted), Ok(value));
    }

    #[test]
    fn a_rotated_secret_accepts_the_tokens_of_all_its_secrets_and_no_other(author in 0..4_usize) {
        const BASES: [&str; 4] = [
            "secret number zero, the newest",
            "secret number one, an older one",
            "secret number two, the oldest",
            "secret number three, a stranger",
        ];
        let ring = Secret::new(BASES[0]).unwrap()
            .also_accept(BASES[1]).unwrap()
            .also_accept(BASES[2]).unwrap();
        let reader = Token::new(&ring, "salt").iterations(1);
        let author_secret = Secret::new(BASES[author]).unwrap();
        let writer = Token::new(&author_secret, "salt").iterations(1);
        let expected = if author < 3 { Ok(author) } else { Err(TokenError::Invalid) };
        prop_assert_eq!(reader.verify(&writer.sign(&author).unwrap()), expected.clone());
        prop_assert_eq!(reader.decrypt(&writer.encrypt(&author).unwrap()), expected);
    }
}

/// Exhaustive: replaces each character of both kinds of token by each other character of the alphabet.
#[test]
fn a_token_with_any_one_character_changed_dropped_or_added_is_refused() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ é";
    let secret = secret();
    let token = Token::new(&secret, "salt").iterations(1);
    let tokens = [token.sign(&7).unwrap(), token.encrypt(&7).unwrap()];
    let refused = |text: &str| {
        token.verify_within::<u64>(text, MaxAge::Infinity).is_err()
            && token.decrypt_within::<u64>(text, MaxAge::Infinity).is_err()
    };
    for text in tokens {
        for at in 0..text.len() {
            let (before, after) = (&text[..at], &text[at + 1..]);
            assert!(refused(&format!("{before}{after}")), "dropped {at} of {text}");
            for other in ALPHABET.chars() {
                assert!(refused(&format!("{before}{other}{}", &text[at..])), "added {at} of {text}");
                if !text[at..].starts_with(other) {
                    assert!(refused(&format!("{before}{other}{after}")), "changed {at} of {text}");
                }
            }
        }
        assert!(refused(&format!("{text}A")));
        assert!(refused(&format!("{text}=")));
    }
}
