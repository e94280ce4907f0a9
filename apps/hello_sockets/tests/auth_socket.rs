//! `/auth_socket`: a valid token is required to connect, and the log contains the reason of each refusal.

mod support;

use bennu::token::Token;
use bennu_testkit::prelude::*;
use hello_sockets::AuthSocket;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use support::kit::{AuthTest, auth_test};

const SALT: &str = "salt identifier";

fn token(test: &AuthTest, user_id: u64, salt: &str) -> String {
    test.endpoint().sign(salt, &user_id).unwrap()
}

#[tokio::test]
async fn a_connect_with_a_valid_token_succeeds() {
    let test = auth_test();
    for user_id in [1, 2] {
        assert!(test.connect::<AuthSocket>(json!({ "token": token(&test, user_id, SALT) })).await.is_ok());
    }
}

#[tokio::test]
async fn a_token_with_another_salt_is_refused() {
    let test = auth_test();
    let params = json!({ "token": token(&test, 1, "another salt") });
    refused(&test, params, "the token is invalid").await;
}

#[tokio::test]
async fn a_connect_without_a_token_is_refused() {
    refused(&auth_test(), json!({}), "parameter \"token\" is missing").await;
}

#[tokio::test]
async fn a_token_that_is_not_one_is_refused() {
    refused(&auth_test(), json!({ "token": "nonsense" }), "the token is invalid").await;
}

#[tokio::test]
async fn a_token_of_two_days_ago_is_refused() {
    let test = auth_test();
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let old = Token::new(test.endpoint().secret(), SALT).sign_at(&1, two_days_ago).unwrap();
    refused(&test, json!({ "token": old }), "the token has expired").await;
}

#[tokio::test]
async fn the_sockets_id_contains_the_user() {
    let test = auth_test();
    for (user_id, id) in [(1, "auth_socket:1"), (2, "auth_socket:2")] {
        let socket = test.connect::<AuthSocket>(json!({ "token": token(&test, user_id, SALT) })).await.unwrap();
        assert_eq!(socket.id(), Some(id));
    }
}

async fn refused(test: &AuthTest, params: Value, reason: &str) {
    let log = capture_log();
    assert!(test.connect::<AuthSocket>(params).await.is_err());
    log.assert_contains(&format!("ERROR AuthSocket connect error refusal={reason}"));
}
