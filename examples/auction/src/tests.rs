//! The room on the test kit, and its page in a browser. The database is real, so time is real too.

use crate::room::{self, SALT, User, UserSocket};
use crate::store::{self, Store};
use axum::body::Body;
use axum::http::Request;
use bennu::Endpoint;
use bennu_testkit::prelude::*;
use serde_json::Value;
use std::future::IntoFuture;
use std::path::Path;
use tower::ServiceExt;

const HOUR: i64 = 3_600_000;

/// A test with an auction that ends in so many milliseconds, and the auction's topic.
async fn auction(ends_in: i64) -> (ChannelTest<Store>, String) {
    let test = ChannelTest::new();
    tokio::time::resume();
    let store = Store::open(":memory:").await.unwrap();
    let id = store.open_auction("A map", store::now() + ends_in).await.unwrap();
    (test.with_state(store), format!("auction:{id}"))
}

async fn join(test: &ChannelTest<Store>, name: &str, topic: &str) -> TestChannel<UserSocket> {
    let user = User { name: name.to_owned(), is_auctioneer: name == "auctioneer" };
    test.socket(UserSocket(user)).join(topic, json!({})).await.unwrap()
}

#[tokio::test]
async fn a_bid_reaches_everybody_and_says_whose_it_is() {
    let (test, topic) = auction(HOUR).await;
    let (blue, red) = (join(&test, "blue", &topic).await, join(&test, "red", &topic).await);
    assert_reply!(blue.push("bid", json!(7)), ok);
    assert_push!(blue, "bid", json!({ "bidder": "blue", "amount": 7, "mine": true }));
    assert_push!(red, "bid", json!({ "bidder": "blue", "amount": 7, "mine": false }));
    assert_eq!(join(&test, "late", &topic).await.join_reply()["best"], 7);
}

#[tokio::test]
async fn bids_at_the_same_time_arrive_in_the_order_of_the_database_and_before_the_end() {
    let (test, topic) = auction(HOUR).await;
    let watcher = join(&test, "watcher", &topic).await;
    let mut bidders = Vec::new();
    for n in 1..=20 {
        bidders.push((join(&test, &format!("bidder {n}"), &topic).await, n));
    }
    let auctioneer = join(&test, "auctioneer", &topic).await;
    let mut requests: Vec<_> = bidders.iter().map(|(bidder, n)| bidder.push("bid", json!(n))).collect();
    requests.push(auctioneer.push("end", json!({})));
    for request in requests {
        assert_reply!(request, _);
    }
    // Channels run beside each other: the database decides which bid comes first, and which are too low or too late.
    let ended: Value = assert_push!(watcher, "ended").parse().unwrap();
    let mut best = 0;
    for arrival in watcher.mailbox() {
        let Arrival::Push { event, payload, .. } = arrival else { panic!("the watcher has sent nothing: {arrival:?}") };
        let amount = payload.get::<i64>("amount").unwrap().unwrap();
        assert!(event == "bid" && amount > best, "{event} of {amount} after {best}");
        best = amount;
    }
    assert_eq!(ended["best"], best, "the end has the last bid, and no bid follows it");
}

#[tokio::test]
async fn a_bid_that_is_not_more_than_the_best_or_comes_too_soon_or_too_late_is_answered_in_words() {
    let (test, topic) = auction(HOUR).await;
    let (blue, red) = (join(&test, "blue", &topic).await, join(&test, "red", &topic).await);
    assert_reply!(blue.push("bid", json!(7)), ok);
    assert_reply!(red.push("bid", json!(7)), error, json!({ "reason": "too_low_or_too_late" }));
    assert_reply!(blue.push("bid", json!(8)), error, |answer: Value| answer["reason"] == "too_fast");
    assert_reply!(join(&test, "auctioneer", &topic).await.push("end", json!({})), ok);
    let late = join(&test, "late", &topic).await;
    assert_reply!(late.push("bid", json!(9)), error, json!({ "reason": "too_low_or_too_late" }));
}

#[tokio::test]
async fn only_the_auctioneer_ends_and_bans() {
    let (test, topic) = auction(HOUR).await;
    let blue = join(&test, "blue", &topic).await;
    for event in ["end", "ban"] {
        assert_reply!(blue.push(event, json!({})), error, json!({ "reason": "not_allowed" }));
    }
}

#[tokio::test]
async fn an_auction_ends_when_its_time_has_come() {
    let (test, topic) = auction(-1).await;
    let blue = join(&test, "blue", &topic).await;
    let closing = tokio::spawn(room::close_when_due(test.state().clone(), test.endpoint().clone()));
    assert_push!(blue, "ended", json!({ "best": 0, "bidder": null }));
    closing.abort();
}

#[tokio::test]
async fn there_are_no_rooms_but_those_of_auctions() {
    let (test, _) = auction(HOUR).await;
    let socket = test.socket(UserSocket(User { name: "blue".to_owned(), is_auctioneer: false }));
    assert_eq!(socket.join("auction:99", json!({})).await.unwrap_err(), json!({ "reason": "no_such_auction" }));
    assert_eq!(socket.join("auction:x", json!({})).await.unwrap_err(), json!({ "reason": "unmatched topic" }));
}

#[tokio::test]
async fn a_banned_user_is_closed_and_refused_for_good() {
    let (test, topic) = auction(HOUR).await;
    let token = test.endpoint().sign(SALT, &User { name: "blue".to_owned(), is_auctioneer: false }).unwrap();
    let info = bennu::ConnectInfo::new().with_auth_token(token);
    let blue = test.connect_with::<UserSocket>(json!({}), info.clone()).await.unwrap();
    let auctioneer = join(&test, "auctioneer", &topic).await;
    assert_reply!(auctioneer.push("ban", json!({ "name": "blue", "reason": "shills" })), ok);
    assert_eq!(blue.closed().await.code(), Some(1001));
    match test.connect_with::<UserSocket>(json!({}), info).await {
        Err(bennu_testkit::NotConnected::Refused(refusal)) => {
            assert_eq!((refusal.is_final(), refusal.reason()), (true, Some("banned: shills")));
        }
        _ => panic!("blue is banned"),
    }
}

async fn post(app: &axum::Router, path: &str, token: &str, body: String) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {token}")).body(Body::from(body)).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_auctioneer_announces_by_http_and_nobody_else_does() {
    let (test, topic) = auction(HOUR).await;
    let app = crate::app(test.endpoint(), test.state().clone(), "sesame".to_owned()).unwrap();
    let sign_in = async |password: &str| {
        post(&app, "/sign_in", "", json!({ "name": "blue", "password": password }).to_string()).await
    };
    let (bidder, auctioneer) = (sign_in("").await.1, sign_in("sesame").await.1);
    assert_eq!(sign_in("guess").await.0, 403);

    let blue = join(&test, "blue", &topic).await;
    let path = format!("/auctions/{}/announce", topic.trim_start_matches("auction:"));
    assert_eq!(post(&app, &path, &bidder, "Buy mine!".to_owned()).await.0, 403);
    assert_eq!(post(&app, &path, "", "Buy mine!".to_owned()).await.0, 403);
    assert_eq!(post(&app, &path, &auctioneer, "Going once".to_owned()).await.0, 200);
    assert_push!(blue, "announced", json!({ "text": "Going once" }));
    refute_push!(blue, "announced");
}

#[tokio::test]
async fn in_the_page_bids_go_both_ways_and_a_banned_client_shows_why_and_does_not_come_back() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/node_modules/phoenix");
    if !client.exists() {
        return test_browser::skip("auction", "npm ci --prefix examples/auction/assets has not run");
    }
    let endpoint = Endpoint::new(bennu::token::Secret::new("a secret of the auction's test").unwrap());
    let store = Store::open(":memory:").await.unwrap();
    let id = store.open_auction("A map", store::now() + HOUR).await.unwrap();
    let app = crate::app(&endpoint, store, "sesame".to_owned()).unwrap();
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let url = format!("http://{}/?id={id}", listener.local_addr().unwrap());
    let serving = tokio::spawn(bennu::serve(listener, app, &endpoint).into_future());

    test_browser::with_browser("auction", async |browser| {
        let enter = async |name: &str, password: &str| {
            let page = browser.open(&url).await;
            page.fill("#sign-in [name=name]", name).await;
            page.fill("#sign-in [name=password]", password).await;
            page.click("#sign-in button").await;
            page.shows("#state[data-state=open]").await;
            page
        };
        let blue = enter("blue", "").await;
        let auctioneer = enter("carol", "sesame").await;
        blue.fill("#bid [name=amount]", "7").await;
        blue.click("#bid button").await;
        blue.shows("#log [data-mine]").await;
        assert_eq!(auctioneer.text("#best").await, "7");

        auctioneer.fill("#ban [name=name]", "blue").await;
        auctioneer.fill("#ban [name=reason]", "bids against itself").await;
        auctioneer.click("#ban button").await;
        blue.shows("#state[data-state=refused]").await;
        assert!(blue.text("#state").await.ends_with("banned: bids against itself"));

        let again = browser.open(&url).await;
        again.fill("#sign-in [name=name]", "blue").await;
        again.click("#sign-in button").await;
        again.shows("#state[data-state=refused]").await;
        let has_stopped = again.script("done(socket.closeWasClean && !socket.isConnected())").await;
        assert_eq!(has_stopped, true, "the official client waits for no further attempt");
        for page in [&auctioneer, &again] {
            assert_eq!(page.layout_faults([320, 390, 768, 1280]).await, [""; 0]);
        }
    })
    .await;
    serving.abort();
}
