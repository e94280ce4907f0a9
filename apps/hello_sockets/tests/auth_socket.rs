//! `/auth_socket`: whoever brings a token may connect, and the log says why the others may not.

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
async fn a_valid_token_opens_it() {
    let test = auth_test();
    for user_id in [1, 2] {
        assert!(test.connect::<AuthSocket>(json!({ "token": token(&test, user_id, SALT) })).await.is_ok());
    }
}

#[tokio::test]
async fn another_salt_does_not_open_it() {
    let test = auth_test();
    let params = json!({ "token": token(&test, 1, "another salt") });
    refused(&test, params, "the token is invalid").await;
}

#[tokio::test]
async fn it_cannot_be_connected_to_without_a_token() {
    refused(&auth_test(), json!({}), "parameter \"token\" is missing").await;
}

#[tokio::test]
async fn a_nonsense_token_does_not_open_it() {
    refused(&auth_test(), json!({ "token": "nonsense" }), "the token is invalid").await;
}

#[tokio::test]
async fn a_token_of_the_day_before_yesterday_does_not_open_it() {
    let test = auth_test();
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let old = Token::new(test.endpoint().secret(), SALT).sign_at(&1, two_days_ago).unwrap();
    refused(&test, json!({ "token": old }), "the token has expired").await;
}

#[tokio::test]
async fn the_id_is_that_of_the_user() {
    let test = auth_test();
    for (user_id, id) in [(1, "auth_socket:1"), (2, "auth_socket:2")] {
        let socket = test.connect::<AuthSocket>(json!({ "token": token(&test, user_id, SALT) })).await.unwrap();
        assert_eq!(socket.id(), Some(id));
    }
}

async fn refused(test: &AuthTest, params: Value, why: &str) {
    let log = capture_log();
    assert!(test.connect::<AuthSocket>(params).await.is_err());
    log.assert_contains(&format!("ERROR AuthSocket connect error refusal={why}"));
}
