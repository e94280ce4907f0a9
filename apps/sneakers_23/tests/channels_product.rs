//! `product:{id}` on the test kit.

mod support;

use bennu_testkit::prelude::*;
use serde_json::{Map, Value};
use sneakers_23::catalog::{Cents, ItemId, Level, ProductId};
use sneakers_23::checkout::CartId;
use sneakers_23::database::seed;
use sneakers_23::socket::ProductSocket;
use support::in_stock;
use support::node::two_nodes;
use support::shop::Shop;

const PRODUCT: ProductId = ProductId(1);

async fn join(shop: &Shop, product: &str) -> TestChannel<ProductSocket> {
    let page = shop.page(&CartId::random().unwrap());
    page.join(&format!("product:{product}"), json!({})).await.unwrap()
}

fn level(item: ItemId, level: Level) -> Value {
    json!({ "product_id": PRODUCT, "item_id": item, "level": level })
}

/// Returns an item of the product that is sold out.
fn out(shop: &Shop) -> ItemId {
    shop.shelf().items_of(PRODUCT).find(|item| item.available == 0).unwrap().id
}

#[tokio::test]
async fn the_reply_to_a_join_has_the_state_of_the_product() {
    let shop = Shop::open().await;
    let levels: Map<String, Value> =
        shop.shelf().items_of(PRODUCT).map(|item| (item.id.to_string(), json!(item.level()))).collect();
    assert_eq!(levels.len(), 13);
    let soon =
        json!({ "product_id": 1, "released": false, "price_cents": 12_000, "size_html": null, "levels": levels });
    assert_eq!(join(&shop, "1").await.join_reply(), soon);

    shop.inventory.release(PRODUCT).await.unwrap();
    shop.inventory.set_price(PRODUCT, Cents(9_900)).await.unwrap();
    let mut live = join(&shop, "1").await.join_reply();
    let html = live["size_html"].take();
    assert_eq!(
        live,
        json!({ "product_id": 1, "released": true, "price_cents": 9_900, "size_html": null, "levels": levels })
    );
    let html = html.as_str().unwrap();
    for item in shop.shelf().items_of(PRODUCT) {
        assert!(
            html.contains(&format!("data-item-id=\"{}\" data-stock=\"{}\"", item.id, item.level().name())),
            "{html}"
        );
    }
}

#[tokio::test]
async fn a_product_that_does_not_exist_is_refused_by_a_reason() {
    let shop = Shop::open().await;
    let page = shop.page(&CartId::random().unwrap());
    let huge = "9".repeat(30);
    for id in ["0", "3", "-1", "x", " 1", "+1", "01", "1.0", "9223372036854775807", "ä", &huge] {
        let refused = page.join(&format!("product:{id}"), json!({})).await.unwrap_err();
        assert_eq!(refused, json!({ "reason": "no_such_product" }), "product:{id}");
    }
}

#[tokio::test]
async fn a_release_is_pushed_once_with_the_sizes_that_a_later_join_gets() {
    let shop = Shop::open().await;
    let (page, other) = (join(&shop, "1").await, join(&shop, "2").await);
    shop.inventory.release(PRODUCT).await.unwrap();
    assert_push!(page, "released", json!({ "size_html": join(&shop, "1").await.join_reply()["size_html"] }));
    shop.inventory.release(PRODUCT).await.unwrap();
    refute_push!(page);
    refute_push!(other);
}

#[tokio::test]
async fn stock_is_pushed_only_when_the_level_changes() {
    let shop = Shop::open_released().await;
    let (page, item) = (join(&shop, "1").await, out(&shop));
    for (pairs, expected) in [
        (1, Some(Level::Low)),
        (1, None),
        (147, None),
        (1, Some(Level::Medium)),
        (349, None),
        (1, Some(Level::High)),
        (10_000, None),
    ] {
        shop.inventory.restock(item, pairs).await.unwrap();
        if let Some(reached) = expected {
            assert_push!(page, "stock_change", level(item, reached));
        }
    }
    refute_push!(page);
}

#[tokio::test]
async fn a_size_that_sells_out_is_pushed_and_one_that_is_sold_within_its_level_is_not() {
    let shop = Shop::open_released().await;
    let (page, item) = (join(&shop, "1").await, out(&shop));
    shop.inventory.restock(item, 3).await.unwrap();
    assert_push!(page, "stock_change", level(item, Level::Low));
    shop.sell(item).await;
    shop.sell(item).await;
    refute_push!(page);
    shop.sell(item).await;
    assert_push!(page, "stock_change", level(item, Level::Out));
}

#[tokio::test]
async fn a_page_that_is_told_of_a_change_reads_no_older_state_when_it_joins_again() {
    let shop = Shop::open_released().await;
    let (page, item) = (join(&shop, "1").await, out(&shop));
    for _ in 0..20 {
        shop.inventory.restock(item, 1).await.unwrap();
        assert_push!(page, "stock_change", level(item, Level::Low));
        assert_eq!(join(&shop, "1").await.join_reply()["levels"][item.to_string()], "low");
        shop.sell(item).await;
        assert_push!(page, "stock_change", level(item, Level::Out));
        assert_eq!(join(&shop, "1").await.join_reply()["levels"][item.to_string()], "out");
    }
}

#[tokio::test]
async fn a_new_price_is_pushed_to_the_pages_of_its_product() {
    let shop = Shop::open().await;
    let (page, other) = (join(&shop, "1").await, join(&shop, "2").await);
    shop.inventory.set_price(PRODUCT, Cents(9_900)).await.unwrap();
    assert_push!(page, "price_change", json!({ "product_id": 1, "price_cents": 9_900 }));
    shop.inventory.set_price(PRODUCT, Cents(9_900)).await.unwrap();
    refute_push!(page);
    refute_push!(other);
}

#[tokio::test]
async fn a_reset_of_the_stock_withdraws_the_products_from_open_pages() {
    let shop = Shop::open_released().await;
    let page = join(&shop, "1").await;
    seed::reset(&shop.database).await.unwrap();
    assert_push!(page, "withdrawn", json!({}));
    assert_eq!(join(&shop, "1").await.join_reply()["size_html"], json!(null));
}

#[tokio::test]
async fn changes_on_one_node_are_pushed_once_to_the_pages_of_the_other() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let [one, two] = two_nodes();
    let (here, there) = (Shop::of(database.clone(), one).await, Shop::of(database, two).await);
    let (page, item) = (join(&there, "1").await, out(&there));
    here.inventory.release(PRODUCT).await.unwrap();
    assert_push!(page, "released");
    here.inventory.restock(item, 1).await.unwrap();
    assert_push!(page, "stock_change", level(item, Level::Low));
    here.sell(item).await;
    assert_push!(page, "stock_change", level(item, Level::Out));
    here.inventory.set_price(PRODUCT, Cents(1)).await.unwrap();
    assert_push!(page, "price_change");
    refute_push!(page);
}

#[tokio::test]
async fn an_announcer_that_is_killed_again_and_again_announces_every_change() {
    let shop = Shop::open_released().await;
    let (page, item) = (join(&shop, "1").await, out(&shop));
    for _ in 0..4 {
        shop.supervisor.kill("announcer");
        shop.inventory.restock(item, 1).await.unwrap();
        assert_push!(page, "stock_change", level(item, Level::Low));
        shop.supervisor.kill("announcer");
        shop.sell(item).await;
        assert_push!(page, "stock_change", level(item, Level::Out));
    }
}

#[tokio::test]
async fn all_pages_see_a_size_sell_out_that_many_buy_at_once() {
    let shop = Shop::open_released().await;
    let item = in_stock(&shop.shelf()).min_by_key(|item| item.available).unwrap().clone();
    let product = item.product_id.to_string();
    let mut pages = Vec::new();
    for _ in 0..50 {
        pages.push(join(&shop, &product).await);
    }
    shop.sell_all(item.id).await;
    for page in &pages {
        let expected = json!({ "product_id": item.product_id, "item_id": item.id, "level": "out" });
        assert_push!(page, "stock_change", expected);
        refute_push!(page, "stock_change", |change: Value| change["level"] == "out", std::time::Duration::ZERO);
    }
}
