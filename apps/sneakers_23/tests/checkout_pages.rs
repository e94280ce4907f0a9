//! The cart after a purchase, over real HTTP and WebSocket: the bought items leave it, and nothing else does.

mod support;

use serde_json::{Value, json};
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger;
use sneakers_23::database::now_ms;
use support::server::{Server, WebSocket};
use support::shopper::Shopper;
use support::{assert_ledger, in_stock};
use test_program::visitor::encode;

fn two_in_stock(server: &Server) -> [ItemId; 2] {
    let shelf = server.store.inventory.snapshot();
    let mut items = in_stock(&shelf).map(|item| item.id);
    [items.next().unwrap(), items.next().unwrap()]
}

/// Returns the items of the cart on the store's page.
async fn held(shopper: &mut Shopper) -> Vec<ItemId> {
    let page = shopper.get("/").await.body;
    let (_, panel) = page.split_once("id=\"cart\"").unwrap();
    let (panel, _) = panel.split_once("<template").unwrap();
    let lines = panel.split("<li class=\"line\" data-item-id=\"").skip(1);
    lines.map(|line| line.split('"').next().unwrap().parse().unwrap()).collect()
}

/// Opens the cart of a shopper in a tab with a script.
async fn tab(shopper: &mut Shopper) -> (WebSocket, Value) {
    let topic = format!("cart:{}", shopper.get("/").await.meta("cart-id").unwrap());
    let socket = format!("/product_socket?_csrf_token={}", encode(&shopper.csrf_token));
    let cookie = format!("_sneakers_23={}", shopper.cookies["_sneakers_23"]);
    let mut tab = WebSocket::connect(shopper.node, &socket, &[("cookie", &cookie)]).await.unwrap();
    let serialized = shopper.cookies.get("cart");
    let params = json!({ "serialized": serialized, "page": "/", "page_loaded_at": now_ms() });
    assert_eq!(tab.join(&topic, params).await.1, "ok");
    let cart = next_cart(&mut tab).await;
    (tab, cart)
}

/// Waits for the next cart that a tab gets, and returns its items.
async fn next_cart(tab: &mut WebSocket) -> Value {
    loop {
        let message = tab.receive().await.unwrap();
        if message[3] == "cart" {
            return message[4]["items"].as_array().unwrap().iter().map(|line| line["id"].clone()).collect();
        }
    }
}

#[tokio::test]
async fn a_purchase_empties_the_cart_of_the_browser_and_of_every_tab() {
    let server = Server::start().await;
    let items = two_in_stock(&server);
    let mut shopper = Shopper::arrive(server.address).await;
    for item in items {
        shopper.add(item).await;
    }
    let (mut tab, cart) = tab(&mut shopper).await;
    assert_eq!(cart, json!(items));
    let purchase = shopper.check_out().await;
    assert_eq!(shopper.pay(&purchase).await.unwrap().status, 303);
    assert_eq!(next_cart(&mut tab).await, json!([]));
    assert_eq!(held(&mut shopper).await, []);
}

#[tokio::test]
async fn an_item_that_was_added_after_the_checkout_page_was_made_stays_in_the_cart() {
    let server = Server::start().await;
    let [bought, later] = two_in_stock(&server);
    let mut shopper = Shopper::arrive(server.address).await;
    shopper.add(bought).await;
    let purchase = shopper.check_out().await;
    shopper.add(later).await;
    let (mut tab, _) = tab(&mut shopper).await;
    assert_eq!(shopper.pay(&purchase).await.unwrap().status, 303);
    assert_eq!(next_cart(&mut tab).await, json!([later]));
    assert_eq!(held(&mut shopper).await, [later]);
}

#[tokio::test]
async fn an_old_form_that_is_sent_again_takes_nothing_from_the_cart_of_now() {
    let server = Server::start().await;
    let [bought, wanted] = two_in_stock(&server);
    let mut shopper = Shopper::arrive(server.address).await;
    shopper.add(bought).await;
    let purchase = shopper.check_out().await;
    let paid = shopper.pay(&purchase).await.unwrap();
    shopper.add(wanted).await;
    let again = shopper.pay(&purchase).await.unwrap();
    assert_eq!(again.header("location"), paid.header("location"));
    assert_eq!(held(&mut shopper).await, [wanted]);
    assert_eq!(ledger::totals(&server.store.database).await.unwrap().0, 1);
    assert_ledger(&server.store.database).await;
}
