//! `recurring`: a new token every five seconds.

mod support;

use bennu_testkit::prelude::*;
use hello_sockets::AuthSocket;
use serde::Deserialize;
use std::time::Duration;
use support::kit::auth_test;

#[derive(Deserialize)]
struct NewToken {
    token: String,
}

#[tokio::test]
async fn a_new_token_arrives_every_five_seconds_and_connects_the_socket() {
    let test = auth_test();
    let channel = test.socket(AuthSocket { user_id: 7 }).subscribe_and_join("recurring", json!({})).await.unwrap();
    for _ in 0..3 {
        refute_push!(channel, _, _, Duration::from_millis(4900));
        let token = assert_push!(channel, "new_token", NewToken { token } => token);
        let socket = test.connect::<AuthSocket>(json!({ "token": token })).await.unwrap();
        assert_eq!(socket.state().user_id, 7);
    }
}
