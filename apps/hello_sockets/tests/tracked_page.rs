//! `/tracked` in headless Chromium: on one server, and on two that are one cluster.

mod support;

use std::time::Duration;
use support::page::with_browser;
use support::program::HELLO;
use support::{DEADLINE, broker};
use test_browser::Page;
use test_program::{Login, Program, Signal};
use tokio::time::timeout;

const A: &str = "a@localhost";
const B: &str = "b@localhost";

#[tokio::test]
async fn the_page_lists_the_present_users_and_a_user_in_two_tabs_once_with_a_count() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_browser("tracked", async |browser| {
        let first = browser.open(&tracked(&program, 1)).await;
        first.shows("[data-channel=tracked] [data-state=joined]").await;
        first.shows("#users > :only-child[data-user='1'][data-me][data-count='1']").await;
        first.shows("#users-count[data-users='1'][data-metas='1'][data-nodes='1']").await;

        let second = browser.open(&tracked(&program, 2)).await;
        for page in [&first, &second] {
            lists(page, &[(1, &[("nonode@nohost", 1)]), (2, &[("nonode@nohost", 1)])]).await;
        }
        second.shows("#users > [data-user='2'][data-me]").await;

        // A second tab of user 2: a page of user 1, changed by its form.
        let third = browser.open(&tracked(&program, 1)).await;
        third.fill("#user", "2").await;
        third.click("#user-change").await;
        lists(&first, &[(1, &[("nonode@nohost", 1)]), (2, &[("nonode@nohost", 2)])]).await;

        second.click("#tracked-toggle").await;
        lists(&first, &[(1, &[("nonode@nohost", 1)]), (2, &[("nonode@nohost", 1)])]).await;
        second.click("#tracked-toggle").await;
        lists(&second, &[(1, &[("nonode@nohost", 1)]), (2, &[("nonode@nohost", 2)])]).await;
        third.close().await;
        second.close().await;
        lists(&first, &[(1, &[("nonode@nohost", 1)])]).await;
        assert_eq!(first.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn pages_of_two_nodes_show_the_same_users_through_joins_leaves_and_the_death_of_a_node() {
    let Some(redis) = broker::redis() else { return };
    let (login, cluster) = (Login::new(HELLO), redis.address.as_str());
    // A dead node's users are removed after two seconds instead of thirty.
    let start = async |name, port| {
        Program::start_with(&login, port, &[("NODE", name), ("CLUSTER", cluster), ("DOWN_AFTER", "2")]).await
    };
    let (a, mut b) = (start(A, 0).await, start(B, 0).await);
    with_browser("tracked_cluster", async |browser| {
        let (on_a, on_b) = (browser.open(&tracked(&a, 1)).await, browser.open(&tracked(&b, 2)).await);
        for page in [&on_a, &on_b] {
            lists(page, &[(1, &[(A, 1)]), (2, &[(B, 1)])]).await;
        }

        // A second tab of a user opens at the other node and closes.
        let again = browser.open(&tracked(&b, 1)).await;
        for page in [&on_a, &on_b, &again] {
            lists(page, &[(1, &[(A, 1), (B, 1)]), (2, &[(B, 1)])]).await;
        }
        again.close().await;
        for page in [&on_a, &on_b] {
            lists(page, &[(1, &[(A, 1)]), (2, &[(B, 1)])]).await;
        }

        on_b.click("#tracked-toggle").await;
        lists(&on_a, &[(1, &[(A, 1)])]).await;
        on_b.click("#tracked-toggle").await;
        lists(&on_a, &[(1, &[(A, 1)]), (2, &[(B, 1)])]).await;

        // A killed node sends nothing, so only its silence shows its end.
        b.signal(Signal::KILL);
        assert_eq!(b.ended().await, None);
        on_b.shows("[data-channel=tracked] [data-state=rejoining]").await;
        lists(&on_a, &[(1, &[(A, 1)])]).await;

        let _back = start(B, b.port).await;
        for page in [&on_b, &on_a] {
            lists(page, &[(1, &[(A, 1)]), (2, &[(B, 1)])]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_broadcast_of_one_nodes_command_reaches_another_nodes_page_with_that_nodes_name() {
    let Some(redis) = broker::redis() else { return };
    let (login, cluster) = (Login::new(HELLO), redis.address.as_str());
    let start = async |name| Program::start_with(&login, 0, &[("NODE", name), ("CLUSTER", cluster)]).await;
    let (a, b) = (start(A).await, start(B).await);
    with_browser("from_node", async |browser| {
        // When each node lists the other's user, Redis has the subscriptions of both.
        let on_a = browser.open(&tracked(&a, 1)).await;
        let page = browser.open(&tracked(&b, 2)).await;
        for page in [&on_a, &page] {
            lists(page, &[(1, &[(A, 1)]), (2, &[(B, 1)])]).await;
        }
        page.goto(&format!("http://localhost:{}/", b.port)).await;
        page.shows("[data-channel=ping] [data-state=joined]").await;
        // Broadcasts are lost until Redis has the other node's subscription to the topic.
        let reached = async {
            while !page.shows_within(Duration::from_millis(100), &format!("#send-ping[data-from-node='{B}']")).await {
                assert_eq!(login.run(a.port, &["broadcast", "ping", "request_ping", "{}"]).await, "ok");
            }
        };
        timeout(DEADLINE, reached).await.expect("no broadcast reached the page before the deadline");
    })
    .await;
}

fn tracked(program: &Program, user: u64) -> String {
    format!("http://localhost:{}/tracked?user={user}", program.port)
}

/// Waits until a page lists exactly these users, each with its metas by node.
async fn lists(page: &Page, users: &[(u64, &[(&str, usize)])]) {
    let mut list = "#users".to_owned();
    for (place, (user, nodes)) in users.iter().enumerate() {
        let metas: usize = nodes.iter().map(|(_, count)| count).sum();
        let row = format!("> li{}[data-user='{user}'][data-count='{metas}']", nth(place, users.len()));
        for (place, (node, count)) in nodes.iter().enumerate() {
            let chip = format!("> li{}[data-node='{node}'][data-count='{count}']", nth(place, nodes.len()));
            list = format!("{list}:has({row} > ul {chip})");
        }
    }
    page.shows(&list).await;
}

fn nth(place: usize, of: usize) -> String {
    format!(":nth-child({}){}", place + 1, if place + 1 == of { ":last-child" } else { "" })
}
