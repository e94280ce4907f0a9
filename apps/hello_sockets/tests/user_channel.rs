//! `user:ID`: the topic of one user. Pushes to it are tested in `pipeline`.

mod support;

use bennu_testkit::prelude::*;
use hello_sockets::AuthSocket;
use support::kit::auth_test;

#[tokio::test]
async fn a_user_joins_the_topic_of_that_user_and_no_other() {
    let socket = auth_test().socket(AuthSocket { user_id: 1 });
    for topic in ["user:2", "user:01", "user:"] {
        let log = capture_log();
        assert_eq!(socket.join(topic, json!({})).await.unwrap_err(), json!({ "reason": "unauthorized" }));
        log.assert_contains(&format!("ERROR AuthChannel refused a join topic={topic} user_id=1"));
    }
    assert!(socket.join("user:1", json!({})).await.is_ok());
}
