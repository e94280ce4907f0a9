//! `/auth_socket` and its channels, as one meets them with `wscat`: the book's dialogues on restricting access, and the
//! token that is renewed.

mod support;

use bennu::token::Token;
use serde_json::json;
use std::time::{Duration, Instant, SystemTime};
use support::client::Client;
use support::server::Server;

async fn auth_socket(user_id: u64) -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::connect(server.address, &format!("/auth_socket?token={}", server.token(user_id))).await;
    (server, client)
}

#[tokio::test]
async fn the_authenticated_socket_is_for_those_who_bring_a_token() {
    let (server, mut client) = auth_socket(1).await;
    let old = Token::new(server.endpoint.secret(), "salt identifier")
        .sign_at(&1, SystemTime::now() - Duration::from_secs(86_401))
        .unwrap();
    let other_salt = server.endpoint.sign("another salt", &1).unwrap();
    for params in ["".to_owned(), "token=x".to_owned(), format!("token={old}"), format!("token={other_salt}")] {
        let refused = Client::try_connect(server.address, &format!("/auth_socket?{params}")).await;
        assert_eq!(refused.err(), Some(403), "{params}");
    }
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_user_joins_the_topic_of_that_user_and_no_other() {
    let (_server, mut client) = auth_socket(1).await;
    client
        .dialogue(
            r#"
            > ["1","1","user:2","phx_join",{}]
            < ["1","1","user:2","phx_reply",{"response":{"reason":"unauthorized"},"status":"error"}]
            > ["1","1","user:1","phx_join",{}]
            < ["1","1","user:1","phx_reply",{"response":{},"status":"ok"}]
            > ["1","1","user:01","phx_join",{}]
            < ["1","1","user:01","phx_reply",{"response":{"reason":"unauthorized"},"status":"error"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_new_token_comes_five_seconds_after_the_join_and_opens_the_socket() {
    let (server, mut client) = auth_socket(7).await;
    client
        .dialogue(
            r#"
            > ["1","1","recurring","phx_join",{}]
            < ["1","1","recurring","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
    let joined = Instant::now();
    let pushed = client.receive().await;
    let waited = joined.elapsed().as_secs_f64();
    assert!((4.8..8.0).contains(&waited), "{waited} s");
    assert_eq!(
        [&pushed[0], &pushed[1], &pushed[2], &pushed[3]],
        [&json!("1"), &json!(null), &json!("recurring"), &json!("new_token")]
    );
    let token = pushed[4]["token"].as_str().unwrap();
    let mut again = Client::connect(server.address, &format!("/auth_socket?token={token}")).await;
    again
        .dialogue(
            r#"
            > ["1","1","user:7","phx_join",{}]
            < ["1","1","user:7","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
}
