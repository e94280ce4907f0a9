//! `cart:{id}` on the test kit.

mod support;

use bennu::token::{Secret, Token};
use bennu_testkit::prelude::*;
use serde_json::Value;
use sneakers_23::announcer;
use sneakers_23::catalog::{Cents, Item, ItemId, Product, ProductId};
use sneakers_23::checkout::ledger;
use sneakers_23::checkout::{Answer, Cart, CartChange, CartError, CartId, MAX_ITEMS, Purchase};
use sneakers_23::database::now_ms;
use sneakers_23::inventory::shelf;
use sneakers_23::inventory::{Rows, Snapshot};
use sneakers_23::socket::ProductSocket;
use std::time::{Duration, SystemTime};
use support::node::two_nodes;
use support::shop::{CartView, Shop, refusal, topic};
use support::sold_out;
use tokio::time::advance;

const DAY: Duration = Duration::from_secs(86_400);

/// The purpose of a cart's token, which a browser may keep over an update of the store.
const SALT: &str = "sneakers_23 cart";

/// The tab of a shopper, as a test reads it.
type Tab = TestChannel<ProductSocket>;

fn cart_id() -> CartId {
    CartId::random().unwrap()
}

async fn add(tab: &Tab, item: ItemId) -> CartView {
    assert_reply!(tab.push("add_item", json!({ "item_id": item })), ok, view => view)
}

async fn remove(tab: &Tab, item: ItemId) -> CartView {
    assert_reply!(tab.push("remove_item", json!({ "item_id": item })), ok, view => view)
}

/// Asserts that a change is refused for a reason, with a message.
async fn assert_refused(tab: &Tab, event: &str, payload: Value, reason: &str, message: &str) {
    let answer: Value = assert_reply!(tab.push(event, payload.clone()), error, answer => answer);
    assert_eq!(refusal(&answer), (reason, message), "{event} {payload}");
}

async fn next(tab: &Tab) -> CartView {
    assert_push!(tab, "cart", view => view)
}

fn params(serialized: Value) -> Value {
    json!({ "serialized": serialized, "page": "/", "page_loaded_at": now_ms() })
}

#[tokio::test]
async fn a_new_shopper_gets_an_empty_cart() {
    let shop = Shop::open().await;
    let (_, view) = shop.tab(&cart_id(), None).await;
    assert_eq!((view.ids(), view.subtotal_cents), (vec![], 0));
}

#[tokio::test]
async fn an_item_is_added_with_its_name_size_and_price_and_the_cart_outlives_its_tab() {
    let shop = Shop::open_released().await;
    let (cart, item) = (cart_id(), shop.two_in_stock()[0]);
    let (tab, _) = shop.tab(&cart, None).await;
    let view = add(&tab, item).await;
    let shelf = shop.shelf();
    let (known, product) = shelf.item_with_product(item).unwrap();
    assert_eq!(view.items.len(), 1);
    let line = &view.items[0];
    assert_eq!((line.id, line.product_id, line.price_cents, line.out), (item.0, product.id.0, product.price.0, false));
    assert_eq!((&line.name, &line.size), (&product.name, &known.size));
    assert_eq!(view.subtotal_cents, product.price.0);
    refute_push!(tab, "cart");

    tab.close().await;
    let (_, restored) = shop.tab(&cart, Some(&view.serialized)).await;
    assert_eq!(restored.items, view.items);
}

#[tokio::test]
async fn the_cart_of_another_session_is_refused_and_logged_once() {
    let shop = Shop::open().await;
    let (own, other) = (cart_id(), cart_id());
    let log = capture_log();
    let page = shop.page(&own);
    let no_session = shop.test.socket(ProductSocket { cart_id: None });
    for (page, id) in [(&page, other.as_str()), (&page, "x"), (&page, &own.as_str()[1..]), (&no_session, own.as_str())]
    {
        let before = log.lines().len();
        let refused = page.join(&format!("cart:{id}"), params(json!(null))).await.unwrap_err();
        assert_eq!(refused, json!({ "reason": "not_your_cart" }));
        let warnings = log.lines()[before..].iter().filter(|line| line.starts_with("WARN")).count();
        assert_eq!(warnings, 1, "{log}");
    }
}

#[tokio::test]
async fn an_invalid_an_expired_and_a_foreign_token_give_an_empty_cart_and_a_week_is_not_too_old() {
    let shop = Shop::open_released().await;
    let items = shop.two_in_stock();
    let own = Token::new(shop.endpoint.secret(), SALT).max_age(7 * DAY);
    let signed = |age: Duration| own.sign_at(&items, SystemTime::now() - age).unwrap();
    let foreign = Secret::new("a secret that another store on another machine has").unwrap();
    let purchase = Purchase::new(cart_id(), &items, &shop.shelf()).unwrap();
    for (token, kind) in [
        (signed(8 * DAY), "expired"),
        (Token::new(&foreign, SALT).sign(&items).unwrap(), "signed with another secret"),
        (Token::new(shop.endpoint.secret(), "user socket").sign(&items).unwrap(), "signed for another purpose"),
        (shop.purchases.sign(&purchase), "a purchase"),
        (own.sign("items").unwrap(), "not a list"),
        (own.sign(&["1"]).unwrap(), "a list of texts"),
        (own.sign(&[1.5]).unwrap(), "a list of fractions"),
        (signed(DAY).replace('.', "-"), "of one part"),
        (signed(DAY)[..40].to_owned(), "cut"),
        (String::new(), "empty"),
        ("x".repeat(100_000), "huge"),
    ] {
        let (_, view) = shop.tab(&cart_id(), Some(&token)).await;
        assert_eq!(view.ids(), [0; 0], "{kind}");
    }
    let (_, view) = shop.tab(&cart_id(), Some(&signed(7 * DAY - Duration::from_secs(60)))).await;
    assert_eq!(view.ids(), items.map(|item| item.0));
}

#[tokio::test]
async fn a_restored_cart_has_each_item_once_and_no_item_that_is_not_in_the_store() {
    let shop = Shop::open_released().await;
    let own = Token::new(shop.endpoint.secret(), SALT);
    let token = own.sign(&[3, 1, 3, 99, -1, i64::MAX, 1]).unwrap();
    let (_, view) = shop.tab(&cart_id(), Some(&token)).await;
    assert_eq!(view.ids(), [1, 3]);
    let (_, view) = shop.tab(&cart_id(), Some(&own.sign(&(1..=1000).collect::<Vec<i64>>()).unwrap())).await;
    assert_eq!(view.items.len(), MAX_ITEMS);
}

#[tokio::test]
async fn a_change_that_is_not_possible_is_refused_in_words_and_changes_nothing() {
    let shop = Shop::open().await;
    shop.inventory.release(ProductId(1)).await.unwrap();
    let shelf = shop.shelf();
    let of = |product: i64, is_out: bool| {
        let mut items = shelf.items_of(ProductId(product)).filter(|item| (item.available == 0) == is_out);
        items.next().unwrap().id
    };
    let (item, out, soon) = (of(1, false), of(1, true), of(2, false));
    let (tab, _) = shop.tab(&cart_id(), None).await;
    add(&tab, item).await;
    let refused = async |event: &str, id: i64, reason: &str, message: &str| {
        assert_refused(&tab, event, json!({ "item_id": id }), reason, message).await;
    };
    let duplicate = "This size is in your cart already: one pair of each size.";
    refused("add_item", item.0, "duplicate_item", duplicate).await;
    refused("add_item", out.0, "out_of_stock", "This size has just sold out.").await;
    refused("add_item", soon.0, "not_released", "This shoe is not released yet.").await;
    let not_found = "This size is not in the store or not in your cart.";
    for id in [0, -1, 27, i64::MAX, i64::MIN] {
        refused("add_item", id, "not_found", not_found).await;
        refused("remove_item", id, "not_found", not_found).await;
    }
    refused("remove_item", soon.0, "not_found", not_found).await;
    assert_eq!(remove(&tab, item).await.ids(), [0; 0], "only the one item was in the cart");
}

#[tokio::test]
async fn a_payload_that_is_no_change_is_refused_in_words_and_the_channel_goes_on() {
    let shop = Shop::open_released().await;
    let (tab, _) = shop.tab(&cart_id(), None).await;
    for payload in [
        json!({}),
        json!({ "item_id": null }),
        json!({ "item_id": "1" }),
        json!({ "item_id": 1.5 }),
        json!({ "item_id": 1e300 }),
        json!({ "item_id": u64::MAX }),
        json!({ "item_id": [1] }),
        json!({ "item_id": { "id": 1 } }),
        json!([]),
        json!("1"),
        json!(null),
    ] {
        for event in ["add_item", "remove_item"] {
            let answer: Value = assert_reply!(tab.push(event, payload.clone()), error, answer => answer);
            let (reason, message) = refusal(&answer);
            assert_eq!(reason, "invalid", "{payload}");
            assert!(message.contains("item_id") || message.contains("payload"), "{payload}: {message}");
        }
        tokio::time::pause();
        advance(Duration::from_secs(1)).await;
        tokio::time::resume();
    }
    assert_eq!(add(&tab, shop.two_in_stock()[0]).await.items.len(), 1);
}

#[tokio::test]
async fn the_parameters_of_a_join_are_checked_and_refused_in_words() {
    let shop = Shop::open().await;
    let cart = cart_id();
    let page = shop.page(&cart);
    let (now, year) = (now_ms(), 366 * 86_400_000);
    for (key, value) in [
        ("page", json!("/admin")),
        ("page", json!("")),
        ("page", json!(null)),
        ("page", json!("x".repeat(10_000))),
        ("page_loaded_at", json!(0)),
        ("page_loaded_at", json!(-1)),
        ("page_loaded_at", json!(now + year)),
        ("page_loaded_at", json!(now - year)),
        ("page_loaded_at", json!(i64::MAX)),
        ("page_loaded_at", json!(i64::MIN)),
        ("page_loaded_at", json!(u64::MAX)),
        ("page_loaded_at", json!("now")),
        ("page_loaded_at", json!(null)),
        ("serialized", json!(1)),
        ("purchase", json!({})),
    ] {
        let mut all = params(json!(null));
        all[key] = value.clone();
        let refused = page.join(&topic(&cart), all).await.unwrap_err();
        let answer: Value = refused.response().parse().unwrap();
        let (reason, message) = refusal(&answer);
        assert_eq!(reason, "invalid", "{key} {value}");
        assert!(message.len() > 20, "{key} {value}: {message}");
        assert!(message.len() < 1_000, "{key}: {message}");
    }
    page.join(&topic(&cart), params(json!(null))).await.unwrap();
}

#[tokio::test]
async fn the_tabs_of_one_shopper_have_one_cart_and_those_of_another_do_not() {
    let shop = Shop::open_released().await;
    let ([first, second], cart) = (shop.two_in_stock(), cart_id());
    let ((one, _), (two, _), (other, _)) =
        (shop.tab(&cart, None).await, shop.tab(&cart, None).await, shop.tab(&cart_id(), None).await);
    let replied = add(&one, first).await;
    assert_eq!(next(&two).await.items, replied.items);
    let replied = add(&two, second).await;
    assert_eq!(replied.items.len(), 2);
    assert_eq!(next(&one).await.items, replied.items);
    remove(&one, first).await;
    assert_eq!(next(&two).await.ids(), [second.0]);
    refute_push!(one, "cart");
    refute_push!(one, "cart_updated");
    refute_push!(other);
}

#[tokio::test]
async fn tabs_that_change_the_cart_at_the_same_time_end_up_with_the_same_one() {
    let shop = Shop::open_released().await;
    let (cart, shelf) = (cart_id(), shop.shelf());
    let items: Vec<ItemId> = support::in_stock(&shelf).map(|item| item.id).take(20).collect();
    let (one, _) = shop.tab(&cart, None).await;
    let (two, _) = shop.tab(&cart, None).await;
    let mut sent = Vec::new();
    for pair in items.chunks(2) {
        sent.push(one.push("add_item", json!({ "item_id": pair[0] })));
        sent.push(two.push("add_item", json!({ "item_id": pair[1] })));
    }
    // Both tabs add the same one, and each of them removes its first.
    let both = items[0];
    for reference in sent {
        assert_reply!(reference, ok);
    }
    for tab in [&one, &two] {
        for _ in 0..10 {
            next(tab).await;
        }
    }
    let removed =
        (one.push("remove_item", json!({ "item_id": both })), two.push("remove_item", json!({ "item_id": items[1] })));
    assert_reply!(removed.0, ok);
    assert_reply!(removed.1, ok);
    let expected: Vec<i64> = items[2..].iter().map(|item| item.0).collect();
    let (one, two) = (next(&one).await, next(&two).await);
    assert_eq!((one.ids(), two.ids()), (expected.clone(), expected));
}

#[tokio::test]
async fn the_same_item_from_two_tabs_at_the_same_time_is_in_the_cart_once() {
    let shop = Shop::open_released().await;
    let (cart, item) = (cart_id(), shop.two_in_stock()[0]);
    let ((one, _), (two, _)) = (shop.tab(&cart, None).await, shop.tab(&cart, None).await);
    let sent = [one.push("add_item", json!({ "item_id": item })), two.push("add_item", json!({ "item_id": item }))];
    for reference in sent {
        assert_reply!(reference, ok);
    }
    assert_eq!((next(&one).await.ids(), next(&two).await.ids()), (vec![item.0], vec![item.0]));
    // A change of the item is pushed once, so that each tab is subscribed once.
    shop.sell_all(item).await;
    assert_eq!((next(&one).await.out(), next(&two).await.out()), (vec![item.0], vec![item.0]));
    remove(&one, item).await;
    assert_eq!(next(&two).await.ids(), [0; 0]);
    shop.inventory.restock(item, 1).await.unwrap();
    refute_push!(one, "cart");
    refute_push!(two, "cart");
}

#[tokio::test]
async fn an_item_is_shown_as_sold_out_the_moment_it_is_and_back_after_a_restock() {
    let shop = Shop::open_released().await;
    let out = sold_out(&shop.shelf());
    shop.inventory.restock(out, 2).await.unwrap();
    let (tab, _) = shop.tab(&cart_id(), None).await;
    let view = add(&tab, out).await;
    assert_eq!(view.out(), [0; 0]);
    let price = view.subtotal_cents;
    shop.sell(out).await;
    refute_push!(tab, "cart");
    for _ in 0..20 {
        shop.sell(out).await;
        let view = next(&tab).await;
        assert_eq!((view.out(), view.subtotal_cents), (vec![out.0], 0), "a cart never shows an older stock");
        shop.inventory.restock(out, 1).await.unwrap();
        let view = next(&tab).await;
        assert_eq!((view.out(), view.subtotal_cents), (vec![], price));
    }
    refute_push!(tab, "cart");
}

#[tokio::test]
async fn a_restored_item_that_sold_out_meanwhile_is_shown_as_sold_out() {
    let shop = Shop::open_released().await;
    let (cart, [gone, left]) = (cart_id(), shop.two_in_stock());
    let (tab, _) = shop.tab(&cart, None).await;
    add(&tab, gone).await;
    let view = add(&tab, left).await;
    tab.close().await;
    shop.sell_all(gone).await;
    let (tab, restored) = shop.tab(&cart, Some(&view.serialized)).await;
    assert_eq!((restored.ids(), restored.out()), (vec![gone.0, left.0], vec![gone.0]));
    shop.inventory.restock(gone, 1).await.unwrap();
    assert_eq!(next(&tab).await.out(), [0; 0], "a restored item is followed too");
}

#[tokio::test]
async fn a_change_of_an_item_that_left_the_cart_pushes_nothing() {
    let shop = Shop::open_released().await;
    let ([removed, kept], cart) = (shop.two_in_stock(), cart_id());
    let ((one, _), (two, _)) = (shop.tab(&cart, None).await, shop.tab(&cart, None).await);
    add(&one, removed).await;
    add(&one, kept).await;
    remove(&one, removed).await;
    for _ in 0..3 {
        next(&two).await;
    }
    shop.sell_all(removed).await;
    refute_push!(one, "cart");
    refute_push!(two, "cart");
    shop.sell_all(kept).await;
    assert_eq!((next(&one).await.out(), next(&two).await.out()), (vec![kept.0], vec![kept.0]));

    announcer::change_cart(&shop.endpoint, &cart, CartChange::Bought(vec![kept]));
    assert_eq!((next(&one).await.ids(), next(&two).await.ids()), (vec![], vec![]));
    shop.inventory.restock(kept, 1).await.unwrap();
    refute_push!(one, "cart");
    refute_push!(two, "cart");
}

#[tokio::test]
async fn a_new_price_is_pushed_to_the_carts_that_hold_the_product() {
    let shop = Shop::open_released().await;
    let shelf = shop.shelf();
    let of = |product| support::in_stock(&shelf).find(|item| item.product_id == ProductId(product)).unwrap().id;
    let ((one, _), (two, _)) = (shop.tab(&cart_id(), None).await, shop.tab(&cart_id(), None).await);
    add(&one, of(1)).await;
    add(&two, of(2)).await;
    shop.inventory.set_price(ProductId(1), Cents(9_900)).await.unwrap();
    let view = next(&one).await;
    assert_eq!((view.items[0].price_cents, view.subtotal_cents), (9_900, 9_900));
    refute_push!(two, "cart");
}

#[tokio::test]
async fn of_31_changes_at_once_the_last_is_too_fast_and_one_more_is_allowed_each_100_ms() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    for product in [1, 2] {
        shelf::release(&database, ProductId(product)).await.unwrap();
    }
    let shop = Shop::idle(database, bennu::pubsub::PubSub::local()).await;
    let (item, log) = (shop.two_in_stock()[0], capture_log());
    let (tab, _) = shop.tab(&cart_id(), None).await;
    let change = |n: usize| tab.push(["add_item", "remove_item"][n % 2], json!({ "item_id": item }));
    let sent: Vec<_> = (0..40).map(change).collect();
    for (n, reference) in sent.into_iter().enumerate() {
        if n < 30 {
            assert_reply!(reference, ok);
            continue;
        }
        let answer: Value = assert_reply!(reference, error, answer => answer);
        assert_eq!(refusal(&answer), ("too_fast", "That was very fast. Wait a second and try again."));
    }
    let warnings = log.lines().iter().filter(|line| line.contains("more than ten times a second")).count();
    assert_eq!(warnings, 1, "{log}");
    for n in 0..3 {
        advance(Duration::from_millis(99)).await;
        assert_reply!(change(n), error);
        advance(Duration::from_millis(1)).await;
        assert_reply!(change(n), ok);
    }
    advance(Duration::from_secs(3)).await;
    let sent: Vec<_> = (1..=31).map(change).collect();
    for (n, reference) in sent.into_iter().enumerate() {
        assert_reply!(reference, if n < 30 { "ok" } else { "error" });
    }
}

#[tokio::test]
async fn a_form_and_a_purchase_change_the_cart_in_every_tab_on_every_node() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let [one, two] = two_nodes();
    let (here, there) = (Shop::of(database.clone(), one).await, Shop::of(database, two).await);
    here.inventory.release(ProductId(1)).await.unwrap();
    let shelf = here.shelf();
    let item = support::in_stock(&shelf).find(|item| item.product_id == ProductId(1)).unwrap().id;
    let cart = cart_id();
    let ((first, _), (second, _)) = (here.tab(&cart, None).await, there.tab(&cart, None).await);
    announcer::change_cart(&here.endpoint, &cart, CartChange::Add(item));
    assert_eq!((next(&first).await.ids(), next(&second).await.ids()), (vec![item.0], vec![item.0]));
    here.sell_all(item).await;
    assert_eq!((next(&first).await.out(), next(&second).await.out()), (vec![item.0], vec![item.0]));
    announcer::change_cart(&there.endpoint, &cart, CartChange::Bought(vec![item]));
    assert_eq!((next(&first).await.ids(), next(&second).await.ids()), (vec![], vec![]));
}

/// Joins a cart for the outcome of a purchase.
async fn tab_for(shop: &Shop, cart: &CartId, token: &str) -> Tab {
    let mut all = params(json!(null));
    all["purchase"] = json!(token);
    all["page"] = json!("/checkout");
    let tab = shop.page(cart).join(&topic(cart), all).await.unwrap();
    next(&tab).await;
    tab
}

#[tokio::test]
async fn a_page_that_does_not_know_the_outcome_of_its_purchase_gets_it() {
    let shop = Shop::open_released().await;
    let cart = cart_id();
    let new = || Purchase::new(cart.clone(), &[shop.two_in_stock()[0]], &shop.shelf()).unwrap();
    let (bought, lost) = (new(), new());
    assert!(matches!(shop.checkout.buy(bought.clone()).await, Answer::Bought(_)));
    let tab = tab_for(&shop, &cart, &shop.purchases.sign(&bought)).await;
    let location = format!("/checkout/complete/{}", bought.id);
    assert_push!(tab, "purchase", json!({ "id": bought.id, "state": "bought", "location": location }));

    let tab = tab_for(&shop, &cart, &shop.purchases.sign(&lost)).await;
    let settled: Value = assert_push!(tab, "purchase", settled => settled);
    assert_eq!((&settled["id"], &settled["state"]), (&json!(lost.id), &json!("refused")));
    let token = settled["location"].as_str().unwrap().strip_prefix("/checkout/outcome?purchase=").unwrap();
    assert_eq!(shop.purchases.verify(token), Some(lost.clone()));
    assert!(matches!(shop.checkout.buy(lost).await, Answer::Refused(_)));
}

#[tokio::test]
async fn the_purchase_of_another_shopper_is_not_settled_by_a_cart() {
    let shop = Shop::open_released().await;
    let wanted = Purchase::new(cart_id(), &[shop.two_in_stock()[0]], &shop.shelf()).unwrap();
    let tab = tab_for(&shop, &cart_id(), &shop.purchases.sign(&wanted)).await;
    refute_push!(tab, "purchase");
    assert!(matches!(shop.checkout.buy(wanted).await, Answer::Bought(_)), "its own shopper still buys");
    let tab = tab_for(&shop, &cart_id(), "a text that is no purchase").await;
    refute_push!(tab);
}

#[tokio::test]
async fn a_purchase_that_is_settled_is_pushed_to_its_cart_and_a_bought_one_empties_it() {
    let shop = Shop::open_released().await;
    let (cart, item) = (cart_id(), shop.two_in_stock()[0]);
    let ((tab, _), (other, _)) = (shop.tab(&cart, None).await, shop.tab(&cart_id(), None).await);
    add(&tab, item).await;
    let new = || Purchase::new(cart.clone(), &[item], &shop.shelf()).unwrap();
    let (lost, bought) = (new(), new());
    // As after an outage: the outcome is in the database, and nobody has it.
    shop.checkout.outcome(&lost).await;
    assert_push!(tab, "purchase", |settled: Value| settled["id"] == json!(lost.id) && settled["state"] == "refused");
    refute_push!(tab, "cart");
    ledger::commit(&shop.database, std::slice::from_ref(&bought), ledger::Mode::Buy).await.unwrap();
    shop.checkout.outcome(&bought).await;
    assert_push!(tab, "purchase", |settled: Value| settled["id"] == json!(bought.id) && settled["state"] == "bought");
    assert_eq!(next(&tab).await.ids(), [0; 0]);
    refute_push!(other);
}

#[tokio::test]
async fn a_purchase_that_is_settled_while_the_announcer_is_killed_is_pushed_all_the_same() {
    let shop = Shop::open_released().await;
    let (cart, item) = (cart_id(), shop.two_in_stock()[0]);
    let (tab, _) = shop.tab(&cart, None).await;
    for _ in 0..4 {
        let lost = Purchase::new(cart.clone(), &[item], &shop.shelf()).unwrap();
        shop.until("the announcer runs", async || shop.supervisor.kill("announcer")).await;
        shop.checkout.outcome(&lost).await;
        assert_push!(tab, "purchase", |settled: Value| settled["id"] == json!(lost.id));
    }
}

#[test]
fn a_cart_holds_26_items_and_no_more() {
    let product = Product { id: ProductId(1), name: "A".to_owned(), price: Cents(1), released: true, version: 1 };
    let item = |id| Item {
        id: ItemId(id),
        product_id: ProductId(1),
        size: id.to_string(),
        stocked: 1,
        available: 1,
        version: 1,
    };
    let rows = Rows { products: vec![product], items: (1..=30).map(item).collect() };
    let shelf = Snapshot::default().merge(&rows).unwrap();
    let mut cart = Cart::default();
    for id in (1..=26).rev() {
        cart.add(ItemId(id), &shelf).unwrap();
    }
    assert_eq!(cart.add(ItemId(27), &shelf), Err(CartError::CartFull));
    assert_eq!(CartError::CartFull.to_string(), "Your cart is full: it holds 26 pairs.");
    cart.apply(&CartChange::Add(ItemId(28)));
    assert_eq!(cart.items(), (1..=26).map(ItemId).collect::<Vec<_>>());
}
