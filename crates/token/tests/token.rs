//! The contract of the public API: age, purpose, rotation, limits, and errors by fault.

use std::time::{Duration, SystemTime};

use bennu_token::{MaxAge, OptionError, Secret, Token, TokenError};
use serde::{Deserialize, Serialize};

const NEW: &str = "the secret of this year, made at random";
const OLD: &str = "the secret of last year, now replaced";
const OLDER: &str = "the secret of the year before that one";

fn secret() -> Secret {
    Secret::new(NEW).unwrap()
}

#[test]
fn a_maximum_age_passed_to_verify_replaces_the_stored_one() {
    let secret = secret();
    let token = Token::new(&secret, "salt").max_age(Duration::from_secs(60));
    let signed_at = SystemTime::now();
    let later = signed_at + Duration::from_secs(120);
    let text = token.sign_at(&7, signed_at).unwrap();

    assert!(matches!(
        token.verify_at::<u64>(&text, MaxAge::Stored, later),
        Err(TokenError::Expired { max_age, .. }) if max_age.as_secs() == 60
    ));
    assert_eq!(token.verify_at(&text, Token::ONE_HOUR, later), Ok(7));
    assert_eq!(token.verify_at(&text, MaxAge::Infinity, later), Ok(7));
    assert!(token.verify_at::<u64>(&text, Duration::from_secs(119), later).is_err());
}

#[test]
fn a_token_from_the_future_has_not_expired() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let now = SystemTime::now();
    let text = token.sign_at(&7, now + Duration::from_secs(1_000_000)).unwrap();
    assert_eq!(token.verify_at(&text, Duration::from_millis(1), now), Ok(7));
}

#[test]
fn a_maximum_age_of_zero_accepts_no_token() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let now = SystemTime::now();
    let text = token.sign_at(&7, now).unwrap();
    assert!(matches!(token.verify_at::<u64>(&text, Duration::ZERO, now), Err(TokenError::Expired { .. })));
    let text = token.max_age(Duration::ZERO).encrypt_at(&7, now).unwrap();
    assert!(matches!(token.decrypt::<u64>(&text), Err(TokenError::Expired { .. })));
}

#[test]
fn a_maximum_age_can_be_a_fraction_of_a_second() {
    let secret = secret();
    let token = Token::new(&secret, "salt").max_age(Duration::from_millis(1500));
    let now = SystemTime::now();
    let text = token.sign_at(&7, now).unwrap();
    let after = |ms| now + Duration::from_millis(ms);
    assert_eq!(token.verify_at(&text, MaxAge::Stored, after(1500)), Ok(7));
    assert!(token.verify_at::<u64>(&text, MaxAge::Stored, after(1501)).is_err());
}

#[test]
fn times_at_the_ends_of_the_clock_do_not_overflow() {
    let secret = secret();
    let token = Token::new(&secret, "salt").max_age(Duration::MAX);
    let ancient = SystemTime::UNIX_EPOCH - Duration::from_secs(10_000);
    let text = token.sign_at(&7, ancient).unwrap();
    assert_eq!(token.verify(&text), Ok(7));
    assert_eq!(token.verify_within(&text, Duration::MAX), Ok(7));
    assert!(token.verify_within::<u64>(&text, Token::ONE_DAY).is_err());
    let distant = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
    let text = token.sign_at(&7, distant).unwrap();
    assert_eq!(token.verify(&text), Ok(7));
}

#[test]
fn a_token_is_invalid_for_another_purpose_secret_option_or_kind() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let signed = token.sign(&7).unwrap();
    let encrypted = token.encrypt(&7).unwrap();

    let stranger = Secret::new(OLD).unwrap();
    for other in [
        Token::new(&secret, "another salt"),
        Token::new(&stranger, "salt"),
        token.iterations(1001),
        token.digest(bennu_token::Digest::Sha384),
    ] {
        assert_eq!(other.verify::<u64>(&signed), Err(TokenError::Invalid));
        assert_eq!(other.decrypt::<u64>(&encrypted), Err(TokenError::Invalid));
    }
    assert_eq!(token.key_length(31).verify::<u64>(&signed), Err(TokenError::Invalid));
    assert_eq!(token.verify::<u64>(&encrypted), Err(TokenError::Invalid));
    assert_eq!(token.decrypt::<u64>(&signed), Err(TokenError::Invalid));
}

#[test]
fn rotation_accepts_the_old_and_signs_with_the_newest() {
    let secret = secret();
    let rotated = secret.clone().also_accept(OLD).unwrap().also_accept(OLDER).unwrap();
    let reader = Token::new(&rotated, "salt");

    for base in [NEW, OLD, OLDER] {
        let author = Secret::new(base).unwrap();
        let author = Token::new(&author, "salt");
        assert_eq!(reader.verify(&author.sign(&7).unwrap()), Ok(7));
        assert_eq!(reader.decrypt(&author.encrypt(&7).unwrap()), Ok(7));
    }

    let newest = Token::new(&secret, "salt");
    assert_eq!(newest.verify(&reader.sign(&7).unwrap()), Ok(7));
    assert_eq!(newest.decrypt(&reader.encrypt(&7).unwrap()), Ok(7));
    let retired = Secret::new(OLD).unwrap();
    let retired = Token::new(&retired, "salt");
    assert_eq!(retired.verify::<u64>(&reader.sign(&7).unwrap()), Err(TokenError::Invalid));
}

#[test]
fn an_empty_token_is_missing_and_nonsense_is_invalid() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    assert_eq!(token.verify::<u64>(""), Err(TokenError::Missing));
    assert_eq!(token.decrypt::<u64>(""), Err(TokenError::Missing));
    for nonsense in [".", "..", "SFMyNTY", "SFMyNTY..", "SFMyNTY.g2E.", "XCP.", "XCP.AAAA", "é.é.é"] {
        assert_eq!(token.verify::<u64>(nonsense), Err(TokenError::Invalid));
        assert_eq!(token.decrypt::<u64>(nonsense), Err(TokenError::Invalid));
    }
}

#[test]
fn the_length_is_bounded_in_both_directions() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let long = "x".repeat(Token::MAX_LENGTH + 1);
    let too_long = TokenError::TooLong { length: long.len(), limit: Token::MAX_LENGTH };
    assert_eq!(token.verify::<String>(&long), Err(too_long.clone()));
    assert_eq!(token.decrypt::<String>(&long), Err(too_long.clone()));
    assert!(too_long.is_refusal());

    let error = token.sign(&long).unwrap_err();
    assert!(matches!(error, TokenError::ValueTooLarge { limit: Token::MAX_LENGTH, .. }));
    assert!(!error.is_refusal());
    assert!(matches!(token.encrypt(&long), Err(TokenError::ValueTooLarge { .. })));

    let fits = "x".repeat(48_000);
    assert_eq!(token.verify(&token.sign(&fits).unwrap()), Ok(fits));
}

#[test]
fn an_option_out_of_bounds_is_an_error_with_its_limit() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    for iterations in [0, 10_000_001, u32::MAX] {
        let error = token.iterations(iterations).sign(&7).unwrap_err();
        let option = OptionError::Iterations { iterations, limit: 10_000_000 };
        assert_eq!(error, TokenError::Option(option));
    }
    for length in [0, 15, 1025, usize::MAX] {
        let error = token.key_length(length).verify::<u64>("x").unwrap_err();
        let option = OptionError::KeyLength { length, min: 16, max: 1024 };
        assert_eq!(error, TokenError::Option(option));
        assert!(!error.is_refusal());
    }
    assert_eq!(
        token.key_length(64).encrypt(&7).unwrap_err().to_string(),
        "a key length of 64 bytes is not allowed: it must be from 32 to 32"
    );
}

#[test]
fn the_error_of_a_value_of_another_type_names_both_types() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let text = token.sign("ana").unwrap();
    let error = token.verify::<u64>(&text).unwrap_err();
    assert!(error.is_refusal());
    assert_eq!(
        error.to_string(),
        "the token is genuine, but its value does not have the requested type: expected u64, found text"
    );
}

#[test]
fn the_age_is_checked_before_the_value_is_decoded() {
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let text = token.sign_at("ana", SystemTime::UNIX_EPOCH).unwrap();
    assert!(matches!(token.verify::<u64>(&text), Err(TokenError::Expired { .. })));
}

#[test]
fn a_value_without_an_erlang_term_is_the_fault_of_the_caller() {
    let secret = secret();
    let error = Token::new(&secret, "salt").sign(&f64::NAN).unwrap_err();
    assert!(matches!(error, TokenError::Unencodable(_)));
    assert!(!error.is_refusal());
}

#[test]
fn two_encrypted_tokens_of_one_value_differ() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Card {
        number: String,
    }
    let card = Card { number: "4111111111111111".repeat(4) };
    let secret = secret();
    let token = Token::new(&secret, "salt");
    let first = token.encrypt_at(&card, SystemTime::UNIX_EPOCH).unwrap();
    let second = token.encrypt_at(&card, SystemTime::UNIX_EPOCH).unwrap();
    assert_ne!(first, second);
    assert_eq!(token.decrypt_within(&first, MaxAge::Infinity), Ok(card));
}

#[test]
fn the_debug_text_of_a_token_does_not_contain_the_secret() {
    let secret = secret();
    assert!(!format!("{:?}", Token::new(&secret, "salt")).contains("random"));
}

#[test]
fn threads_can_share_a_secret() {
    let secret = secret();
    let text = Token::new(&secret, "salt").sign(&7).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(Token::new(&secret.clone(), "salt").verify(&text), Ok(7)));
        }
    });
}
