//! Tokens of the real Phoenix.Token (phoenix 1.8.9, plug_crypto 2.1.1), recorded with their Elixir terms.
//!
//! Each test reads a token and issues one for the same value. The two are equal byte for byte, except for atoms: the
//! OTP of the recording wrote atoms as `ATOM_EXT`; OTP 26 and later write `SMALL_ATOM_UTF8_EXT`, and so does this
//! crate.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bennu_token::{Digest, MaxAge, Secret, Token, TokenError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const RECORDED: &str = include_str!("../../../conformance/recorded/tokens.json");

#[derive(Deserialize)]
struct Recording {
    secret_key_base: String,
    signed_at_s: u64,
    tokens: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    kind: String,
    name: String,
    salt: String,
    token: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct User {
    name: String,
    user_id: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Cart {
    items: Vec<u64>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok(u64),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Nested {
    Items(Vec<u64>),
    Map(BTreeMap<String, Option<String>>),
}

fn recording() -> Recording {
    serde_json::from_str(RECORDED).expect("the recording is JSON of this shape")
}

fn token<'a>(secret: &'a Secret, recorded: &'a Recorded) -> Token<'a> {
    let token = Token::new(secret, &recorded.salt);
    match recorded.name.as_str() {
        "sha512 digest, 2000 iterations, 64 byte key" => token.digest(Digest::Sha512).iterations(2000).key_length(64),
        "max_age infinity" => token.no_expiry(),
        "max_age 60" => token.max_age(Duration::from_secs(60)),
        _ => token,
    }
}

/// Reads the recorded token and issues one for the same value. Returns the new token if it is signed.
fn read_and_issue<T>(recorded: &Recorded, expected: T) -> Option<String>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let recording = recording();
    let secret = Secret::new(recording.secret_key_base).unwrap();
    let signed_at = UNIX_EPOCH + Duration::from_secs(recording.signed_at_s);
    let token = token(&secret, recorded);
    match recorded.kind.as_str() {
        "sign" => {
            let read: T = token.verify_within(&recorded.token, MaxAge::Infinity).unwrap();
            assert_eq!(read, expected, "{}", recorded.name);
            let issued = token.sign_at(&expected, signed_at).unwrap();
            let again: T = token.verify_at(&issued, MaxAge::Stored, signed_at).unwrap();
            assert_eq!(again, expected, "{}", recorded.name);
            Some(issued)
        }
        "encrypt" => {
            let read: T = token.decrypt_within(&recorded.token, MaxAge::Infinity).unwrap();
            assert_eq!(read, expected, "{}", recorded.name);
            let issued = token.encrypt_at(&expected, signed_at).unwrap();
            assert_eq!(issued.len(), recorded.token.len(), "{}", recorded.name);
            let again: T = token.decrypt_at(&issued, MaxAge::Stored, signed_at).unwrap();
            assert_eq!(again, expected, "{}", recorded.name);
            None
        }
        other => panic!("unknown kind {other}"),
    }
}

/// The Rust value of each recorded Elixir term.
fn replay(recorded: &Recorded) -> Option<String> {
    match recorded.name.as_str() {
        "integer 1" | "sha512 digest, 2000 iterations, 64 byte key" | "max_age infinity" | "max_age 60" => {
            read_and_issue(recorded, 1_u64)
        }
        "string \"1\"" => read_and_issue(recorded, "1".to_owned()),
        "negative" => read_and_issue(recorded, -70_000_i32),
        "big integer" => read_and_issue(recorded, 123_456_789_012_345_678_901_234_567_890_u128),
        "float" => read_and_issue(recorded, 1.5_f64),
        "nil" => read_and_issue(recorded, None::<String>),
        "true" => read_and_issue(recorded, true),
        "list" => read_and_issue(recorded, serde_json::json!([1, "two", 3.0])),
        "byte list (charlist)" => read_and_issue(recorded, vec![1_u8, 2, 3]),
        "map with atom keys" => read_and_issue(recorded, User { name: "Ana".to_owned(), user_id: 7 }),
        "map with string keys" => read_and_issue(
            recorded,
            BTreeMap::from([
                ("items".to_owned(), Nested::Items(vec![1, 2, 3])),
                ("n".to_owned(), Nested::Map(BTreeMap::from([("a".to_owned(), None)]))),
            ]),
        ),
        "tuple" => read_and_issue(recorded, Outcome::Ok(5)),
        "unicode" => read_and_issue(recorded, "é€😀".to_owned()),
        "empty map" => read_and_issue(recorded, BTreeMap::<String, u64>::new()),
        "cart" => read_and_issue(recorded, Cart { items: vec![3, 1, 2] }),
        other => panic!("an unknown token in the recording: {other}"),
    }
}

fn payload(token: &str) -> Vec<u8> {
    let part = token.split('.').nth(1).expect("a token has a payload");
    URL_SAFE_NO_PAD.decode(part).expect("a payload is base64")
}

/// `ATOM_EXT` (100, two bytes of length) as `SMALL_ATOM_UTF8_EXT` (119, one byte of length).
fn with_new_atoms(payload: &[u8]) -> Vec<u8> {
    let mut rest = payload;
    let mut bytes = Vec::new();
    while let [first, tail @ ..] = rest {
        if let [100, 0, length, tail @ ..] = rest {
            bytes.extend([119, *length]);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

#[test]
fn every_recorded_token_is_verified_and_issued_again() {
    let recording = recording();
    assert_eq!(recording.tokens.len(), 22);
    for recorded in &recording.tokens {
        replay(recorded);
    }
}

#[test]
fn signed_tokens_without_atoms_are_byte_identical_to_phoenix() {
    let recording = recording();
    let identical: Vec<&str> = recording
        .tokens
        .iter()
        .filter(|recorded| replay(recorded).as_ref() == Some(&recorded.token))
        .map(|recorded| recorded.name.as_str())
        .collect();
    assert_eq!(
        identical,
        [
            "integer 1",
            "string \"1\"",
            "negative",
            "big integer",
            "float",
            "list",
            "byte list (charlist)",
            "unicode",
            "empty map",
            "sha512 digest, 2000 iterations, 64 byte key",
            "max_age 60",
        ]
    );
}

#[test]
fn signed_tokens_with_atoms_differ_in_the_encoding_of_atoms_alone() {
    let recording = recording();
    let mut compared = 0;
    for recorded in &recording.tokens {
        let Some(issued) = replay(recorded).filter(|issued| *issued != recorded.token) else {
            continue;
        };
        let expected = with_new_atoms(&payload(&recorded.token));
        assert_eq!(payload(&issued), expected, "{}", recorded.name);
        compared += 1;
    }
    assert_eq!(compared, 7);
}

#[test]
fn the_maximum_age_stored_in_a_recorded_token_holds() {
    let recording = recording();
    let secret = Secret::new(recording.secret_key_base.clone()).unwrap();
    let signed_at = UNIX_EPOCH + Duration::from_secs(recording.signed_at_s);
    let read = |name: &str, now: SystemTime| {
        let recorded = recording.tokens.iter().find(|token| token.name == name).unwrap();
        token(&secret, recorded).verify_at::<u64>(&recorded.token, MaxAge::Stored, now)
    };
    let day = Duration::from_secs(86_400);
    let ms = Duration::from_millis(1);
    assert_eq!(read("integer 1", signed_at + day), Ok(1));
    assert_eq!(read("integer 1", signed_at + day + ms), Err(TokenError::Expired { age: day + ms, max_age: day }));
    assert_eq!(read("max_age 60", signed_at + Duration::from_secs(60)), Ok(1));
    assert!(read("max_age 60", signed_at + Duration::from_secs(61)).is_err());
    assert_eq!(read("max_age infinity", signed_at + 100_000 * day), Ok(1));
}
