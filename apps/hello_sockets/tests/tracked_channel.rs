//! `tracked`: each joined client has a presence for as long as its channel runs.

mod support;

use bennu_testkit::prelude::*;
use hello_sockets::AuthSocket;
use serde::Deserialize;
use std::collections::BTreeMap;
use support::kit::{AuthTest, auth_test};

#[derive(Debug, Deserialize)]
struct User {
    metas: Vec<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    online_at: u64,
    node: String,
}

type Users = BTreeMap<String, User>;

#[derive(Deserialize)]
struct Diff {
    joins: Users,
    leaves: Users,
}

impl Diff {
    fn is_one_leave_of(&self, user: &str) -> bool {
        self.joins.is_empty() && named(&self.leaves) == [user]
    }
}

async fn join(test: &AuthTest, user_id: u64) -> TestChannel<AuthSocket> {
    test.socket(AuthSocket { user_id }).subscribe_and_join("tracked", json!({})).await.unwrap()
}

/// Returns the users of a list, each once per meta.
fn named(users: &Users) -> Vec<&str> {
    users.iter().flat_map(|(user, User { metas })| metas.iter().map(move |_| user.as_str())).collect()
}

#[tokio::test]
async fn a_joined_client_is_listed_by_its_tokens_user_with_time_and_node() {
    let test = auth_test();
    let channel = join(&test, 7).await;
    let users: Users = assert_push!(channel, "presence_state").parse().unwrap();
    assert_eq!(named(&users), ["7"]);
    let Meta { online_at, node } = &users["7"].metas[0];
    assert!(*online_at > 1_700_000_000, "{online_at} is not a Unix time in seconds");
    assert_eq!(node, test.endpoint().pubsub().node().as_str());
}

#[tokio::test]
async fn a_user_that_joins_twice_has_two_metas_and_each_ends_with_its_channel() {
    let test = auth_test();
    let watcher = join(&test, 1).await;
    let phone = join(&test, 2).await;
    let laptop = join(&test, 2).await;
    let users: Users = assert_push!(laptop, "presence_state").parse().unwrap();
    assert_eq!(named(&users), ["1", "2", "2"]);

    // One diff for both joins, since the topic has just changed.
    assert_push!(watcher, "presence_diff", |diff: Diff| named(&diff.joins) == ["2", "2"]);
    phone.leave();
    assert_push!(watcher, "presence_diff", |diff: Diff| diff.is_one_leave_of("2"));
    laptop.close().await;
    assert_push!(watcher, "presence_diff", |diff: Diff| diff.is_one_leave_of("2"));
    refute_push!(watcher, "presence_diff", |diff: Diff| diff.is_one_leave_of("2"));
}
