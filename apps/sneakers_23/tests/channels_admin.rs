//! `admin:store` and `admin:cart_tracker` on the test kit.

mod support;

use bennu::ConnectInfo;
use bennu::pubsub::PubSub;
use bennu::token::{Secret, Token};
use bennu_testkit::NotConnected;
use bennu_testkit::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use sneakers_23::catalog::{Cents, ItemId, ProductId};
use sneakers_23::checkout::ledger;
use sneakers_23::checkout::{CartId, Purchase};
use sneakers_23::database::{now_ms, seed};
use sneakers_23::inventory::shelf;
use sneakers_23::shoppers::MAX_DETAILED;
use sneakers_23::socket::{AdminSocket, ProductSocket};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use support::node::two_nodes;
use support::shop::{SIGNED_IN, Shop, refusal, session, signed_in, topic};
use support::{assert_ledger, in_stock, skip};
use test_postgres::Postgres;

/// The longest time until the owner's pages have a change, in virtual time.
const SOON: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overview {
    node: String,
    nodes: usize,
    products: Vec<Value>,
    items: Vec<Value>,
    orders: Orders,
    sell_out: Option<Progress>,
    database_down_since: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Orders {
    count: i64,
    revenue_cents: i64,
    latest: Vec<Order>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    number: String,
    total_cents: i64,
    at: i64,
    items: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    left: i64,
    total: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shoppers {
    count: usize,
    by_page: BTreeMap<String, usize>,
    held: BTreeMap<String, usize>,
    detailed: bool,
}

async fn store_channel(shop: &Shop) -> (TestChannel<AdminSocket>, Overview) {
    let channel = shop.owner().await.join("admin:store", json!({})).await.unwrap();
    let overview = serde_json::from_value(channel.join_reply()).unwrap();
    (channel, overview)
}

/// Joins the shoppers, and returns the counts that the page gets first.
async fn tracker(shop: &Shop) -> (TestChannel<AdminSocket>, Shoppers) {
    let channel = shop.owner().await.join("admin:cart_tracker", json!({})).await.unwrap();
    let counts = assert_push!(channel, "shoppers", counts => counts);
    (channel, counts)
}

/// Returns a store without tasks but the dashboard's, in virtual time, with released products.
async fn in_virtual_time() -> Shop {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    for product in [1, 2] {
        shelf::release(&database, ProductId(product)).await.unwrap();
    }
    let shop = Shop::idle(database, PubSub::local()).await;
    let store = shop.test.state().clone();
    shop.supervisor.start("dashboard", move || store.dashboard.clone().run());
    shop
}

/// Asserts that a row has these fields.
#[track_caller]
fn assert_has(row: &Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&row[name], value, "{name} of {row}");
    }
}

async fn visit(shop: &Shop, cart: &CartId, page: &str, items: &[i64]) -> TestChannel<ProductSocket> {
    let serialized = Token::new(shop.endpoint.secret(), "sneakers_23 cart").sign(items).unwrap();
    shop.tab_at(cart, page, Some(&serialized)).await.0
}

fn cart() -> CartId {
    CartId::random().unwrap()
}

#[tokio::test]
async fn a_socket_without_a_valid_token_of_a_login_is_refused() {
    let shop = Shop::open().await;
    let own = Token::new(shop.endpoint.secret(), SIGNED_IN);
    let login = signed_in("a login", now_ms() + 60_000);
    let foreign = Secret::new("a secret that another store on another machine has").unwrap();
    let cookie = Token::new(shop.endpoint.secret(), "sneakers_23 session");
    for params in [
        json!({}),
        json!({ "token": "" }),
        json!({ "token": "admin" }),
        json!({ "token": Token::new(&foreign, SIGNED_IN).sign(&login).unwrap() }),
        json!({ "token": cookie.sign(&login).unwrap() }),
        json!({ "token": shop.carts.serialize(&Default::default()) }),
        json!({ "token": own.sign_at(&login, SystemTime::now() - Duration::from_secs(13 * 3600)).unwrap() }),
        json!({ "token": own.sign(&json!({ "login": 1 })).unwrap() }),
    ] {
        let info = session("a login", now_ms() + 60_000);
        let refused = shop.test.connect_with::<AdminSocket>(params.clone(), info).await;
        assert!(matches!(refused, Err(NotConnected::Refused(_))), "{params}");
    }
    let recent = own.sign_at(&login, SystemTime::now() - Duration::from_secs(11 * 3600)).unwrap();
    let params = json!({ "token": recent });
    for (info, session) in [
        (ConnectInfo::new(), "no session of a page"),
        (session("a login", now_ms() - 1), "a login that has ended"),
        (session("another login", now_ms() + 60_000), "another login"),
    ] {
        let refused = shop.test.connect_with::<AdminSocket>(params.clone(), info).await;
        assert!(matches!(refused, Err(NotConnected::Refused(_))), "{session}");
    }
    let info = session("a login", now_ms() + 60_000);
    shop.test.connect_with::<AdminSocket>(params, info).await.unwrap();
}

#[tokio::test]
async fn shoppers_do_not_reach_the_channels_of_the_owner() {
    let shop = Shop::open().await;
    for channel in ["admin:store", "admin:cart_tracker"] {
        let refused = shop.page(&cart()).join(channel, json!({})).await.unwrap_err();
        assert_eq!(refused, json!({ "reason": "unmatched topic" }));
    }
}

#[tokio::test]
async fn the_reply_to_a_join_is_the_overview_of_the_store() {
    let shop = Shop::open().await;
    let (_, overview) = store_channel(&shop).await;
    assert_eq!((overview.node.as_str(), overview.nodes), (shop.endpoint.pubsub().node().as_str(), 1));
    let product = json!({ "id": 2, "name": "Beta Court", "released": false, "price_cents": 14_000 });
    assert_has(&overview.products[1], &product);
    let shelf = shop.shelf();
    let item = shelf.item(ItemId(14)).unwrap();
    let row = json!({
        "id": 14, "product_id": 2, "size": "6", "stocked": item.stocked, "available": item.available,
        "level": item.level(),
    });
    assert_eq!((overview.products.len(), overview.items.len()), (2, 26));
    assert_has(&overview.items[13], &row);
    assert_eq!(overview.orders, Orders { count: 0, revenue_cents: 0, latest: vec![] });
    assert_eq!((overview.sell_out, overview.database_down_since), (None, None));
}

#[tokio::test]
async fn orders_are_pushed_with_their_items_and_the_revenue_and_the_newest_comes_first() {
    let shop = Shop::open_released().await;
    let (channel, _) = store_channel(&shop).await;
    let shelf = shop.shelf();
    let of = |product| in_stock(&shelf).find(|item| item.product_id == ProductId(product)).unwrap();
    let wanted = Purchase::new(cart(), &[of(2).id, of(1).id], &shelf).unwrap();
    shop.checkout.buy(wanted.clone()).await;
    let orders = assert_push!(channel, "overview", Overview { orders, .. } if orders.count == 1 => orders);
    let order = &orders.latest[0];
    assert_eq!((order.number.clone(), order.total_cents), (wanted.id.number(), 26_000));
    assert!(order.at.abs_diff(now_ms()) < 60_000);
    let names = [format!("Shift Runner {}", of(1).size), format!("Beta Court {}", of(2).size)];
    assert_eq!((orders.revenue_cents, &order.items[..]), (26_000, &names[..]));

    for _ in 0..22 {
        shop.sell(of(1).id).await;
    }
    let orders = assert_push!(channel, "overview", Overview { orders, .. } if orders.count == 23 => orders);
    assert_eq!((orders.latest.len(), orders.revenue_cents), (20, 26_000 + 22 * 12_000));
    assert!(orders.latest.is_sorted_by(|newer, older| newer.at >= older.at));
    assert!(orders.latest.iter().all(|order| order.number != wanted.id.number()));
}

#[tokio::test]
async fn however_many_orders_arrive_the_overview_is_pushed_at_most_once_a_second() {
    let shop = Shop::open_released().await;
    let (channel, _) = store_channel(&shop).await;
    let item = shop.two_in_stock()[0];
    shop.inventory.restock(item, 10_000).await.unwrap();
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_millis(2500) {
        shop.sell(item).await;
    }
    let seconds = started.elapsed().as_secs() as usize + 2;
    let pushes = channel.mailbox().len();
    assert!((1..=seconds).contains(&pushes), "{pushes} overviews in {:?}", started.elapsed());
}

#[tokio::test]
async fn a_command_changes_the_store_and_its_reply_is_empty() {
    let shop = Shop::open().await;
    let (channel, _) = store_channel(&shop).await;
    let log = capture_log();
    assert_reply!(channel.push("release", json!({ "product_id": 1 })), ok, json!({}));
    assert_reply!(channel.push("set_price", json!({ "product_id": 1, "price_cents": 9_900 })), ok, json!({}));
    assert_reply!(channel.push("restock", json!({ "item_id": 3, "amount": 10_000 })), ok, json!({}));
    let before = shop.shelf();
    let product = before.product(ProductId(1)).unwrap();
    assert_eq!((product.released, product.price), (true, Cents(9_900)));
    assert!(before.item(ItemId(3)).unwrap().available >= 10_000);
    assert_push!(channel, "overview", |overview: Overview| overview.products[0]["released"] == true);
    assert_eq!(log.lines().iter().filter(|line| line.contains("the owner changed the store")).count(), 3, "{log}");
}

#[tokio::test]
async fn a_command_that_is_not_possible_is_refused_in_words_and_changes_nothing() {
    let shop = Shop::open().await;
    let (channel, before) = store_channel(&shop).await;
    for (event, payload, reason, words) in [
        ("release", json!({ "product_id": 3 }), "not_found", "there is no product 3"),
        ("release", json!({ "product_id": i64::MIN }), "not_found", "there is no product -9223372036854775808"),
        ("restock", json!({ "item_id": 27, "amount": 1 }), "not_found", "there is no item 27"),
        ("restock", json!({ "item_id": 1, "amount": 0 }), "invalid", "it must be from 1 to 10000"),
        ("restock", json!({ "item_id": 1, "amount": 10_001 }), "invalid", "10001 is not a number of pairs"),
        ("restock", json!({ "item_id": 1, "amount": i64::MAX }), "invalid", "it must be from 1 to 10000"),
        ("set_price", json!({ "product_id": 9, "price_cents": 1 }), "not_found", "there is no product 9"),
        ("set_price", json!({ "product_id": 1, "price_cents": 0 }), "invalid", "it must be from 1 to 1000000"),
        ("set_price", json!({ "product_id": 1, "price_cents": -5 }), "invalid", "-5 is not a price in cents"),
        ("release", json!({}), "invalid", "product_id"),
        ("release", json!({ "product_id": "1" }), "invalid", "expected i64"),
        ("restock", json!({ "item_id": 1 }), "invalid", "amount"),
        ("restock", json!({ "item_id": 1, "amount": 1.5 }), "invalid", "expected i64"),
        ("set_price", json!({ "product_id": 1, "price_cents": u64::MAX }), "invalid", "expected i64"),
        ("sell_out", json!({}), "not_released", "no released product has a pair left"),
    ] {
        let answer: Value = assert_reply!(channel.push(event, payload.clone()), error, answer => answer);
        let (refused_as, message) = refusal(&answer);
        assert_eq!(refused_as, reason, "{event} {payload}: {message}");
        assert!(message.contains(words), "{event} {payload}: {message}");
    }
    let (_, after) = store_channel(&shop).await;
    assert_eq!((before.products, before.items), (after.products, after.items));
}

/// Opens a released store in which each item has this many pairs.
async fn with_stock(pairs: i64) -> Shop {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let update = "UPDATE items SET stocked = $1, available = $1";
    sqlx::query(update).bind(pairs).execute(&*database.pool()).await.unwrap();
    for product in [1, 2] {
        shelf::release(&database, ProductId(product)).await.unwrap();
    }
    Shop::of(database, PubSub::local()).await
}

#[tokio::test]
async fn a_sell_out_buys_everything_shows_its_progress_and_survives_kills() {
    let shop = with_stock(60).await;
    let (channel, _) = store_channel(&shop).await;
    assert_reply!(channel.push("sell_out", json!({})), ok);
    assert_push!(channel, "overview", |overview: Overview| {
        overview.sell_out.is_some_and(|progress| progress.total == 1560 && progress.left < 1560)
    });
    assert_reply!(channel.push("sell_out", json!({})), ok);
    for task in ["sell-out", "committer", "dashboard"] {
        shop.supervisor.kill(task);
    }
    assert_push!(
        channel,
        "overview",
        |overview: Overview| overview.sell_out.is_none() && overview.orders.count == 1560,
        Duration::from_secs(30)
    );
    assert_ledger(&shop.database).await;
    assert!(shop.shelf().items().all(|item| item.available == 0));
    let answer: Value = assert_reply!(channel.push("sell_out", json!({})), error, answer => answer);
    assert_eq!(refusal(&answer).1, "there is nothing to sell out: no released product has a pair left");
}

#[tokio::test]
async fn a_sell_out_that_is_stopped_buys_no_more() {
    let shop = with_stock(100).await;
    let (channel, _) = store_channel(&shop).await;
    assert_reply!(channel.push("stop_sell_out", json!({})), ok);
    assert_reply!(channel.push("sell_out", json!({})), ok);
    assert_push!(channel, "overview", |overview: Overview| overview.orders.count > 0);
    assert_reply!(channel.push("stop_sell_out", json!({})), ok);
    let (count, _) = ledger::totals(&shop.database).await.unwrap();
    assert_push!(channel, "overview", |overview: Overview| overview.sell_out.is_none());
    // The purchases of a quarter of a second may be on their way.
    refute_push!(channel, "overview", |overview: Overview| overview.orders.count > count + 200, SOON);
    assert!(ledger::totals(&shop.database).await.unwrap().0 < 2600);
}

#[tokio::test]
async fn while_the_database_is_down_the_owner_sees_so_and_a_command_is_refused_in_words() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("the owner without a database", &missing),
    };
    let database = sneakers_23::database::open(&postgres.create_database().await).await.unwrap();
    seed::reset(&database).await.unwrap();
    let shop = Shop::of(database, PubSub::local()).await;
    let (channel, _) = store_channel(&shop).await;
    postgres.stop().await;
    assert_push!(
        channel,
        "overview",
        |overview: Overview| overview.database_down_since.is_some(),
        Duration::from_secs(20)
    );
    let refused = channel.push("release", json!({ "product_id": 1 }));
    let answer: Value = assert_reply!(refused, error, answer => answer, Duration::from_secs(20));
    let (reason, message) = refusal(&answer);
    assert_eq!(reason, "database");
    assert!(message.starts_with("the database does not answer, try again"), "{message}");
    let started = tokio::time::Instant::now();
    for (_, overview) in futures::future::join_all((0..5).map(|_| store_channel(&shop))).await {
        assert_eq!(overview.items.len(), 26, "a page that opens now shows the last known stock");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "pages wait for one another: {:?}", started.elapsed());

    postgres.start_again().await;
    assert_push!(
        channel,
        "overview",
        |overview: Overview| overview.database_down_since.is_none(),
        Duration::from_secs(20)
    );
    assert_reply!(channel.push("release", json!({ "product_id": 1 })), ok);
}

#[tokio::test]
async fn shoppers_are_counted_by_cart_their_tabs_by_page_and_their_items_by_cart() {
    let shop = in_virtual_time().await;
    let (channel, counts) = tracker(&shop).await;
    let nobody = Shoppers { count: 0, by_page: BTreeMap::new(), held: BTreeMap::new(), detailed: true };
    assert_eq!(counts, nobody);
    let (one, two) = (cart(), cart());
    let first = visit(&shop, &one, "/", &[1, 2]).await;
    let second = visit(&shop, &one, "/checkout", &[1, 2]).await;
    let other = visit(&shop, &two, "/", &[2]).await;
    let expected = Shoppers {
        count: 2,
        by_page: [("/".to_owned(), 2), ("/checkout".to_owned(), 1)].into(),
        held: [("1".to_owned(), 1), ("2".to_owned(), 2)].into(),
        detailed: true,
    };
    assert_push!(channel, "shoppers", |counts: Shoppers| counts == expected, SOON);

    // The shopper pays, and looks at the order.
    second.close().await;
    visit(&shop, &one, "/checkout/complete", &[1, 2]).await;
    assert_reply!(first.push("remove_item", json!({ "item_id": 1 })), ok);
    other.close().await;
    let expected = Shoppers {
        count: 1,
        by_page: [("/".to_owned(), 1), ("/checkout/complete".to_owned(), 1)].into(),
        held: [("2".to_owned(), 1)].into(),
        detailed: true,
    };
    assert_push!(channel, "shoppers", |counts: Shoppers| counts == expected, SOON);
    refute_push!(channel, "shoppers", _, SOON);
}

#[tokio::test]
async fn the_owner_gets_the_presences_of_few_shoppers_and_each_change() {
    let shop = in_virtual_time().await;
    let id = cart();
    let tab = visit(&shop, &id, "/", &[2]).await;
    let (channel, _) = tracker(&shop).await;
    let state: Value = assert_push!(channel, "presence_state", state => state);
    let meta = &state[id.as_str()]["metas"][0];
    assert_eq!((&meta["page"], &meta["items"]), (&json!("/"), &json!([2])));
    assert!(meta["page_loaded_at"].as_i64().unwrap().abs_diff(now_ms()) < 60_000);
    assert_reply!(tab.push("add_item", json!({ "item_id": shop.two_in_stock()[1] })), _);
    assert_reply!(tab.push("remove_item", json!({ "item_id": 2 })), ok);
    assert_push!(channel, "presence_diff", |diff: Value| diff["joins"][id.as_str()]["metas"][0]["items"] != json!([2]));
    tab.close().await;
    assert_push!(channel, "presence_diff", |diff: Value| diff["leaves"].get(id.as_str()).is_some()
        && diff["joins"] == json!({}));
}

#[tokio::test]
async fn of_more_than_200_shoppers_the_owner_gets_counts_and_no_presence() {
    let shop = in_virtual_time().await;
    let (channel, _) = tracker(&shop).await;
    assert_push!(channel, "presence_state");
    let mut tabs = Vec::new();
    for _ in 0..MAX_DETAILED {
        tabs.push(visit(&shop, &cart(), "/", &[1]).await);
    }
    assert_push!(channel, "shoppers", |counts: Shoppers| counts.count == MAX_DETAILED && counts.detailed, SOON);
    let last = visit(&shop, &cart(), "/", &[1]).await;
    assert_push!(
        channel,
        "shoppers",
        |counts: Shoppers| counts.count == MAX_DETAILED + 1 && !counts.detailed && counts.held["1"] == counts.count,
        SOON
    );

    // From now on, and for a page that opens now, there are counts only.
    let (late, counts) = tracker(&shop).await;
    assert_eq!((counts.count, counts.detailed), (MAX_DETAILED + 1, false));
    let before = channel.mailbox().len();
    tabs.push(visit(&shop, &cart(), "/checkout", &[]).await);
    assert_push!(late, "shoppers", |counts: Shoppers| counts.by_page.get("/checkout") == Some(&1), SOON);
    refute_push!(late, "presence_state");
    refute_push!(late, "presence_diff");
    assert_push!(channel, "shoppers", |counts: Shoppers| counts.by_page.get("/checkout") == Some(&1), SOON);
    assert_eq!(channel.mailbox().len(), before, "{:?}", channel.mailbox().last());

    // Fewer again: both pages get all presences at once.
    last.close().await;
    tabs.pop().unwrap().close().await;
    for page in [&channel, &late] {
        assert_push!(page, "presence_state", |state: Value| state.as_object().unwrap().len() == MAX_DETAILED, SOON);
    }
}

#[tokio::test]
async fn a_page_of_the_owner_does_not_keep_the_counts_of_a_moment() {
    let shop = in_virtual_time().await;
    let (first, _) = tracker(&shop).await;
    let _stays = visit(&shop, &cart(), "/", &[]).await;
    assert_push!(first, "shoppers", |counts: Shoppers| counts.count == 1, SOON);
    // A shopper comes and leaves between two broadcasts, and meanwhile a second page of the owner opens.
    let leaves = visit(&shop, &cart(), "/", &[]).await;
    let (second, counts) = tracker(&shop).await;
    assert_eq!(counts.count, 2);
    leaves.close().await;
    assert_push!(second, "shoppers", |counts: Shoppers| counts.count == 1, SOON);
}

#[tokio::test]
async fn the_shoppers_of_all_nodes_are_counted_and_those_of_a_node_that_ends_are_not() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let [one, two] = two_nodes();
    let (here, there) = (Shop::of(database.clone(), one).await, Shop::of(database, two).await);
    let (channel, _) = tracker(&here).await;
    let id = cart();
    let _tab = visit(&here, &id, "/", &[1]).await;
    let same = visit(&there, &id, "/checkout", &[1]).await;
    let refused = here.page(&cart()).join(&topic(&cart()), json!({})).await;
    assert!(refused.is_err(), "a refused join is no shopper");
    let _other = visit(&there, &cart(), "/", &[1]).await;
    assert_push!(channel, "shoppers", |counts: Shoppers| counts.count == 2
        && counts.by_page["/"] == 2
        && counts.held["1"] == 2);
    same.close().await;
    assert_push!(channel, "shoppers", |counts: Shoppers| counts.count == 2 && counts.by_page.len() == 1);
    there.endpoint.leave().await;
    assert_push!(channel, "shoppers", |counts: Shoppers| counts.count == 1);
}
