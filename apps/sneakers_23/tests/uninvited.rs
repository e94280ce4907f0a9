//! An uninvited client, over real HTTP and WebSocket: each attempt has a clear answer and one line in the log, changes
//! nothing, and harms no shopper beside it.

mod support;

use bennu::token::Token;
use bennu_testkit::{Log, capture_log};
use serde_json::{Value, json};
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger;
use sneakers_23::checkout::{Answer, CartId, Purchase};
use sneakers_23::database::now_ms;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};
use support::server::{Server, WebSocket};
use support::shop::{SIGNED_IN, signed_in};
use support::shopper::Shopper;
use support::{assert_ledger, in_stock, snapshot};
use test_program::visitor::{Reply, encode};
use tokio::time::timeout;

const NO_PURCHASE: &str = "This checkout page cannot be used any more.";
const NO_TOKEN: &str = "This form is too old or came from another site.";

/// The text of numbers that no item and no product has.
const NO_IDS: [&str; 8] =
    ["0", "-1", "27", "9223372036854775807", "-9223372036854775808", "99999999999999999999999", "1.5", "1e3"];

/// Returns the lines of a log about attempts, without those of ordinary joins and connections. A busy machine's database
/// may be slow, which is not the attempt's doing.
fn warnings(log: &Log) -> Vec<String> {
    let is_about_attempt = |line: &String| {
        (line.starts_with("WARN") || line.starts_with("ERROR")) && !line.contains("the database does not answer")
    };
    log.lines().into_iter().filter(is_about_attempt).collect()
}

/// Asserts that an attempt left one warning in the log, with this text.
#[track_caller]
fn assert_logged_once(log: &Log, before: usize, text: &str) {
    let new = &warnings(log)[before..];
    assert!(new.len() == 1 && new[0].contains(text), "not one line with {text:?}: {new:#?}");
}

#[track_caller]
fn assert_page(reply: &Reply, status: u16, text: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.body.contains(text), "no {text:?} in {reply:?}");
}

/// Buys a pair as another shopper.
async fn another_shopper_buys(server: &Server) {
    let shelf = snapshot(&server.store.database).await;
    let item = in_stock(&shelf).max_by_key(|item| item.available).unwrap().id;
    let order = Shopper::arrive(server.address).await.buy(&[item]).await;
    assert!(order.status == 200 && order.attribute("data-number").is_some(), "{order:?}");
    assert_ledger(&server.store.database).await;
}

/// Returns the id of a new shopper's cart, a connection, and the reference of its join of that cart.
async fn open_cart(server: &Server) -> (String, WebSocket, u64) {
    let mut client = Shopper::arrive(server.address).await;
    let id = cart_id(&mut client).await;
    let mut socket = connect(&client).await;
    let (joined, ..) = socket.join(&topic(&id), params()).await;
    (id, socket, joined)
}

fn topic(cart_id: &str) -> String {
    format!("cart:{cart_id}")
}

fn params() -> Value {
    json!({ "serialized": null, "page": "/", "page_loaded_at": now_ms() })
}

async fn cart_id(shopper: &mut Shopper) -> String {
    shopper.get("/").await.meta("cart-id").unwrap()
}

/// Connects a shopper's page to the store.
async fn connect(shopper: &Shopper) -> WebSocket {
    let socket = format!("/product_socket?_csrf_token={}", encode(&shopper.csrf_token));
    WebSocket::connect(shopper.node, &socket, &[("cookie", &shopper.cookie())]).await.unwrap()
}

#[tokio::test]
async fn the_cart_of_another_shopper_cannot_be_joined() {
    let server = Server::start().await;
    let mut victim = Shopper::arrive(server.address).await;
    let id = cart_id(&mut victim).await;
    let attacker = Shopper::arrive(server.address).await;
    let log = capture_log();
    let mut socket = connect(&attacker).await;
    let mut stolen_cookie = Shopper::arrive(server.address).await;
    // The cookie of the victim's session, without the token of a page of it.
    stolen_cookie.cookies = victim.cookies.clone();
    let mut blind = connect(&stolen_cookie).await;
    for socket in [&mut socket, &mut blind] {
        let before = warnings(&log).len();
        let (_, status, response) = socket.join(&topic(&id), params()).await;
        assert_eq!((status.as_str(), &response), ("error", &json!({ "reason": "not_your_cart" })));
        assert_logged_once(&log, before, "a client asked for the cart of another session");
        // A cart that was not joined takes no change.
        let (status, _) = socket.request(9, &topic(&id), "add_item", json!({ "item_id": 1 })).await;
        assert_eq!(status, "error");
    }
    let order = victim.buy(&[in_stock(&server.store.inventory.snapshot()).next().unwrap().id]).await;
    assert_eq!(order.status, 200);
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn a_forged_session_is_a_new_one_and_opens_no_cart() {
    let server = Server::start().await;
    let mut victim = Shopper::arrive(server.address).await;
    let id = cart_id(&mut victim).await;
    let mut forger = Shopper::arrive(server.address).await;
    let own = forger.cookies["_sneakers_23"].clone();
    let forged = {
        let parts: Vec<_> = own.split('.').collect();
        let others: Vec<_> = victim.cookies["_sneakers_23"].split('.').collect();
        format!("{}.{}.{}", parts[0], others[1], parts[2])
    };
    for cookie in [forged.as_str(), "", "x", &"a.b.c".repeat(500)] {
        forger.cookies.insert("_sneakers_23".to_owned(), cookie.to_owned());
        let mut socket = connect(&forger).await;
        let (_, status, response) = socket.join(&topic(&id), params()).await;
        assert_eq!((status.as_str(), response), ("error", json!({ "reason": "not_your_cart" })));
        let page = forger.get("/").await;
        assert_eq!(page.status, 200);
        assert_ne!(page.meta("cart-id"), Some(id.clone()));
    }
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn a_forged_an_expired_and_a_foreign_cart_are_empty_ones_and_no_error() {
    let server = Server::start().await;
    let mut shopper = Shopper::arrive(server.address).await;
    let token = Token::new(server.store.endpoint.secret(), "sneakers_23 cart").max_age(Duration::from_secs(7 * 86_400));
    let expired = token.sign_at(&[1, 2], SystemTime::now() - Duration::from_secs(8 * 86_400)).unwrap();
    let good = token.sign(&[1, 2]).unwrap();
    let forged = format!("{}x", &good[..good.len() - 1]);
    for cart in [expired.as_str(), &forged, "x", &"y".repeat(4_000)] {
        shopper.cookies.insert("cart".to_owned(), cart.to_owned());
        for path in ["/", "/checkout"] {
            let page = shopper.get(path).await;
            assert_page(&page, 200, "data-cart-count=\"0\"");
        }
    }
    shopper.cookies.insert("cart".to_owned(), good);
    assert_page(&shopper.get("/").await, 200, "data-cart-count=\"2\"");
}

#[tokio::test]
async fn ids_that_do_not_exist_are_refused_in_payloads_paths_queries_and_forms() {
    let server = Server::start().await;
    let before = snapshot(&server.store.database).await;
    let mut client = Shopper::arrive(server.address).await;
    let id = cart_id(&mut client).await;
    let log = capture_log();
    for text in NO_IDS {
        for path in ["/cart/add", "/cart/remove"] {
            let page = client.post(path, &[("item_id", text)]).await.unwrap();
            assert_page(&page, 400, "is not an item of the store: the items have the numbers 1 to 26");
            assert!(page.body.contains(text), "the page names the value: {page:?}");
        }
        let page = client.get(&format!("/?problem=out_of_stock&item_id={text}")).await;
        assert_page(&page, 400, "is not an item of the store");
        assert_eq!(client.get(&format!("/checkout/complete/{text}")).await.status, 404);
    }
    for path in ["/checkout/complete/", "/checkout/complete/%00", "/checkout/complete/%F0%9F%91%9F", "/products/1"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    let huge = "7".repeat(5_000);
    let page = client.post("/cart/add", &[("item_id", &huge)]).await.unwrap();
    assert_eq!(page.status, 400);
    assert!(page.body.len() < 5_000, "a page repeats no long value");

    let mut socket = connect(&client).await;
    let (joined, status, _) = socket.join(&topic(&id), params()).await;
    assert_eq!(status, "ok");
    for text in NO_IDS {
        let payload: Value = serde_json::from_str(&format!("{{\"item_id\":{text}}}")).unwrap();
        let (status, response) = socket.request(joined, &topic(&id), "add_item", payload).await;
        assert_eq!(status, "error");
        assert!(["not_found", "invalid"].contains(&response["reason"].as_str().unwrap()), "{text}: {response}");
        let (_, status, response) = socket.join(&format!("product:{text}"), json!({})).await;
        assert_eq!((status.as_str(), response), ("error", json!({ "reason": "no_such_product" })), "{text}");
    }
    assert!(!log.lines().iter().any(|line| line.starts_with("ERROR")), "{log}");
    assert_eq!(snapshot(&server.store.database).await, before);
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn ten_thousand_changes_of_a_cart_at_once_are_answered_and_logged_once() {
    let server = Server::start().await;
    let (id, mut socket, joined) = open_cart(&server).await;
    let log = capture_log();
    let has_bought = std::cell::Cell::new(false);
    let (flood, bystander) = (
        async {
            let mut answers = [0, 0];
            // The client reads as fast as it sends, with up to 500 answers on their way.
            let mut open = std::collections::VecDeque::new();
            for n in 0..10_000 {
                open.push_back(socket.send(joined, &topic(&id), "add_item", &json!({ "item_id": n % 26 + 1 })).await);
                if open.len() == 500 || n == 9_999 {
                    for reference in open.drain(..) {
                        let (status, response) = socket.reply(reference).await;
                        let is_too_fast = status == "error" && response["reason"] == "too_fast";
                        answers[usize::from(is_too_fast)] += 1;
                    }
                }
            }
            assert!(has_bought.get(), "the other shopper waited until the flood was over");
            answers
        },
        async {
            another_shopper_buys(&server).await;
            has_bought.set(true);
        },
    );
    let (answers, ()) = tokio::join!(flood, bystander);
    assert_eq!(answers.iter().sum::<i32>(), 10_000, "each message has its answer");
    assert!(answers[1] > 5_000, "most are too fast: {answers:?}");
    assert_eq!(warnings(&log).len(), 1, "{:#?}", warnings(&log));
    // The connection is as good as before, once the client is slower.
    let (status, _) = socket.request(joined, &topic(&id), "remove_item", json!({ "item_id": 99 })).await;
    assert_eq!(status, "error");
}

#[tokio::test]
async fn a_client_that_sends_ten_thousand_changes_and_reads_no_answer_harms_nobody() {
    let server = Server::start().await;
    let (id, mut socket, joined) = open_cart(&server).await;
    let log = capture_log();
    let flood = async {
        for n in 0..10_000 {
            let message = json!([joined.to_string(), (n + 10).to_string(), topic(&id), "add_item", { "item_id": 1 }]);
            if timeout(Duration::from_secs(5), socket.send_text(&message.to_string())).await.is_err() {
                return;
            }
        }
    };
    let (_, ()) = tokio::join!(flood, another_shopper_buys(&server));
    assert!(warnings(&log).len() <= 2, "{:#?}", warnings(&log));
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn an_order_over_26_items_and_a_purchase_that_nobody_signed_are_refused() {
    let server = Server::start().await;
    let mut client = Shopper::arrive(server.address).await;
    let own = CartId::parse(&cart_id(&mut client).await).unwrap();
    let shelf = server.store.inventory.snapshot();
    let all: Vec<ItemId> = shelf.items().map(|item| item.id).collect();
    let new = |items: &[ItemId]| Purchase::new(Clone::clone(&own), items, &shelf).unwrap();
    let sign = |purchase: &Purchase| server.store.purchases.sign(purchase);
    let long = new(&[&all[..], &all[..1]].concat());
    let good = sign(&new(&all[..1]));
    let old = Token::new(server.store.endpoint.secret(), "sneakers_23 purchase")
        .sign_at(&new(&all[..1]), SystemTime::now() - Duration::from_secs(86_400 + 60))
        .unwrap();
    let log = capture_log();
    for (purchase, kind) in [
        (sign(&long), "27 lines"),
        (sign(&new(&[all[0], all[0]])), "an item twice"),
        (
            sign(&Purchase::new(sneakers_23::checkout::CartId::random().unwrap(), &all[..1], &shelf).unwrap()),
            "another's",
        ),
        (old, "older than a day"),
        (good.replace('.', ".A"), "forged"),
        (server.store.carts.serialize(&Default::default()), "a cart"),
        (String::new(), "empty"),
        ("x".repeat(8_000), "long"),
    ] {
        let before = warnings(&log).len();
        let page = client.post("/checkout", &[("purchase", &purchase)]).await.unwrap();
        assert_page(&page, 400, NO_PURCHASE);
        assert_logged_once(&log, before, "rejected a purchase");
        let page = client.get(&format!("/checkout/outcome?purchase={}", encode(&purchase))).await;
        assert_eq!(page.status, if kind == "long" { page.status } else { 400 }, "{kind}");
        assert!((400..500).contains(&page.status), "{kind}: {page:?}");
    }
    let page = client.post("/checkout", &[]).await.unwrap();
    assert_page(&page, 400, "The field &#34;purchase&#34; is missing.");
    assert_eq!(ledger::totals(&server.store.database).await.unwrap().0, 0);

    // A cart with every size is an order of 26 at most, whatever its token has.
    let token = Token::new(server.store.endpoint.secret(), "sneakers_23 cart");
    client.cookies.insert("cart".to_owned(), token.sign(&(1..=200).collect::<Vec<i64>>()).unwrap());
    let purchase = server.store.purchases.verify(&client.check_out().await).unwrap();
    assert_eq!(purchase.lines.len(), 26);
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn the_purchase_and_the_order_of_another_shopper_are_not_shown() {
    let server = Server::start().await;
    let item = in_stock(&server.store.inventory.snapshot()).next().unwrap().id;
    let mut shopper = Shopper::arrive(server.address).await;
    shopper.add(item).await;
    let purchase = shopper.check_out().await;
    let mut other = Shopper::arrive(server.address).await;
    let page = other.get(&format!("/checkout/outcome?purchase={}", encode(&purchase))).await;
    assert_page(&page, 400, NO_PURCHASE);
    assert_page(&other.pay(&purchase).await.unwrap(), 400, NO_PURCHASE);
    let paid = shopper.pay(&purchase).await.unwrap();
    assert_eq!(paid.status, 303, "nobody else has settled it: {paid:?}");
    let location = paid.header("location").unwrap();
    assert_eq!(other.get(location).await.status, 404);
    assert_eq!(shopper.get(location).await.status, 200);
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let item = in_stock(&server.store.inventory.snapshot()).next().unwrap().id;
    let mut client = Shopper::arrive(server.address).await;
    client.add(item).await;
    let purchase = client.check_out().await;
    let cart = client.cookies["cart"].clone();
    let other = Shopper::arrive(server.address).await;
    let forms = [
        ("/cart/add", format!("item_id={item}")),
        ("/cart/remove", format!("item_id={item}")),
        ("/checkout", format!("purchase={}", encode(&purchase))),
        ("/admin/login", format!("password={}", server.password)),
        ("/admin/logout", String::new()),
    ];
    let log = capture_log();
    for (path, form) in forms {
        let with = |token: &str| format!("{form}&_csrf_token={token}");
        let near = format!("{}A", &client.csrf_token[..client.csrf_token.len() - 1]);
        for form in [form.clone(), with(""), with("x"), with(&other.csrf_token), with(&near), with(&"z".repeat(9_000))]
        {
            let before = warnings(&log).len();
            let page = client.post_text(path, &form).await;
            assert_page(&page, 403, NO_TOKEN);
            assert_logged_once(&log, before, "rejected a form without the CSRF token of its session");
        }
        // The token without the cookie of its session.
        let mut bare = Shopper::arrive(server.address).await;
        bare.cookies.clear();
        assert_page(&bare.post_text(path, &with(&client.csrf_token)).await, 403, NO_TOKEN);
    }
    assert_eq!(client.cookies["cart"], cart);
    assert_eq!(ledger::totals(&server.store.database).await.unwrap().0, 0);
    assert_page(&client.get("/admin").await, 200, "/admin/login");
    assert_eq!(client.pay(&purchase).await.unwrap().status, 303, "the form of the page itself works");
}

#[tokio::test]
async fn a_form_that_is_too_large_or_none_is_refused_in_words() {
    let server = Server::start().await;
    let mut client = Shopper::arrive(server.address).await;
    let token = client.csrf_token.clone();
    let large = format!("_csrf_token={token}&item_id={}", "1".repeat(20_000));
    assert_page(&client.post_text("/cart/add", &large).await, 413, "A form of this site has at most 16 KB.");
    for (form, status) in [
        (format!("_csrf_token={token}"), 400),
        (format!("_csrf_token={token}&item_id"), 400),
        (format!("_csrf_token={token}&item_id=%FF%FE"), 400),
        (format!("_csrf_token={token}&item_id=1%00"), 400),
        (format!("_csrf_token={token}&item_id=1&back=https://example.com"), 303),
    ] {
        let page = client.post_text("/cart/add", &form).await;
        assert_eq!(page.status, status, "{form}: {page:?}");
        assert!(page.header("location").is_none_or(|location| location.starts_with('/')), "{page:?}");
    }
    let page = client.post("/cart/remove", &[("item_id", "1"), ("back", "//example.com")]).await.unwrap();
    assert_page(&page, 400, "it must be / or /checkout");
    for path in ["/?problem=%3Cscript%3E&item_id=1", "/?problem=x&item_id=1", "/?%FF=1&%=2"] {
        let page = client.get(path).await;
        assert!(page.status == 400 || page.status == 200, "{path}: {page:?}");
        assert!(!page.body.contains("<script>"), "{page:?}");
    }
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn the_owners_socket_without_a_login_is_refused() {
    let server = Server::start().await;
    let own = Token::new(server.store.endpoint.secret(), SIGNED_IN);
    let login = signed_in("a login", now_ms() + 60_000);
    let expired = own.sign_at(&login, SystemTime::now() - Duration::from_secs(13 * 3600)).unwrap();
    let good = own.sign(&login).unwrap();
    let forged = format!("{}x", &good[..good.len() - 1]);
    let shopper = Shopper::arrive(server.address).await;
    let cookie = format!("_sneakers_23={}", shopper.cookies["_sneakers_23"]);
    let log = capture_log();
    for token in ["", "token=", "token=x", &format!("token={expired}"), &format!("token={forged}")] {
        let before = log.lines().len();
        let refused =
            WebSocket::connect(server.address, &format!("/admin_socket?{token}"), &[("cookie", &cookie)]).await;
        assert_eq!(refused.err(), Some(403), "{token}");
        let lines = &log.lines()[before..];
        let about: Vec<_> = lines.iter().filter(|line| line.contains("refused connection")).collect();
        assert_eq!(about.len(), 1, "{lines:#?}");
    }
    // A token without the session of its login, as one that was copied from the page.
    let before = log.lines().len();
    assert_eq!(WebSocket::connect(server.address, &format!("/admin_socket?token={good}"), &[]).await.err(), Some(403));
    assert!(log.lines()[before..].iter().any(|line| line.contains("the session has another sign-in or none")), "{log}");
    assert!(!log.lines().iter().any(|line| line.contains(&good)), "the log has no token of the owner: {log}");
    // The socket of shoppers has no channel of the owner.
    let mut socket = connect(&shopper).await;
    let (_, status, response) = socket.join("admin:store", json!({})).await;
    assert_eq!((status.as_str(), response), ("error", json!({ "reason": "unmatched topic" })));
    another_shopper_buys(&server).await;
}

async fn log_in(client: &mut Shopper, password: &str) -> Reply {
    client.get("/admin").await;
    client.post("/admin/login", &[("password", password)]).await.unwrap()
}

#[tokio::test]
async fn guesses_of_the_owners_password_are_limited_and_the_owner_logs_in_beside_them() {
    let server = Server::start().await;
    let mut guesser = Shopper::arrive(server.address).await;
    guesser.from = Ipv4Addr::new(127, 0, 0, 2);
    let log = capture_log();
    for n in 0..5 {
        let before = warnings(&log).len();
        assert_page(&log_in(&mut guesser, &format!("guess {n}")).await, 401, "This is not the password.");
        assert_logged_once(&log, before, "rejected a password");
    }
    // A new session is no new guesser, and the right password is not looked at.
    for password in ["guess 6", &server.password] {
        let before = warnings(&log).len();
        let mut again = Shopper::arrive(server.address).await;
        again.from = guesser.from;
        let page = log_in(&mut again, password).await;
        assert_page(&page, 429, "There were too many attempts");
        let seconds: u64 = page.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_logged_once(&log, before, "rejected a password");
    }
    let mut owner = Shopper::arrive(server.address).await;
    assert_eq!(log_in(&mut owner, &server.password).await.status, 303);
    let page = owner.get("/admin").await;
    let token = page.meta("admin-token").expect("the owner sees the dashboard");
    let socket_path = format!("/admin_socket?token={token}&_csrf_token={}", page.meta("csrf-token").unwrap());
    let cookies = |owner: &Shopper| format!("_sneakers_23={}", owner.cookies["_sneakers_23"]);
    let (logged_in, connect) = (cookies(&owner), async |origin: &'static str, cookies: &str| {
        let headers = [("cookie", cookies), ("origin", origin)];
        WebSocket::connect(server.address, &socket_path, &headers[..if origin.is_empty() { 1 } else { 2 }]).await
    });
    let mut socket = connect("", &logged_in).await.unwrap();
    assert_eq!(socket.join("admin:store", json!({})).await.1, "ok");
    assert_eq!(connect("https://example.com", &logged_in).await.err(), Some(403), "a page of another site");
    assert!(!log.lines().iter().any(|line| line.contains("guess ") || line.contains(&server.password)), "{log}");
    another_shopper_buys(&server).await;

    // A logout closes the socket of the login, whose page connects again at once.
    assert_eq!(owner.post("/admin/logout", &[]).await.unwrap().status, 303);
    let closed = async { while socket.receive().await.is_ok() {} };
    timeout(support::DEADLINE, closed).await.expect("the socket is closed");
    assert_eq!(connect("", &cookies(&owner)).await.err(), Some(403), "a page that stayed open");
    assert!(owner.get("/admin").await.meta("admin-token").is_none());
}

#[tokio::test]
async fn a_long_password_is_refused_without_a_hash() {
    let server = Server::start().await;
    let mut client = Shopper::arrive(server.address).await;
    let page = log_in(&mut client, &"x".repeat(2_000)).await;
    assert_page(&page, 400, "it must have at most 1024");
}

#[tokio::test]
async fn messages_that_are_none_close_only_their_own_connection() {
    let server = Server::start().await;
    let mut client = Shopper::arrive(server.address).await;
    let id = cart_id(&mut client).await;
    let mut good = connect(&client).await;
    let (joined, ..) = good.join(&topic(&id), params()).await;
    for text in ["x", "{}", "[]", "null", &format!("[{}]", "[".repeat(100_000)), &"\"".repeat(50_000)] {
        let mut socket = connect(&client).await;
        if socket.send_text(text).await.is_ok() {
            let closed = socket.receive().await;
            assert!(closed.is_err(), "{closed:?} to {:?}", &text[..text.len().min(40)]);
        }
    }
    let item = in_stock(&server.store.inventory.snapshot()).next().unwrap().id;
    let (status, _) = good.request(joined, &topic(&id), "add_item", json!({ "item_id": item })).await;
    assert_eq!(status, "ok");
    another_shopper_buys(&server).await;
}

#[tokio::test]
async fn files_outside_of_the_assets_are_not_served() {
    let server = Server::start().await;
    let mut client = Shopper::arrive(server.address).await;
    for path in [
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/..%2fCargo.toml",
        "/assets/package.json",
        "/assets/node_modules/phoenix/package.json",
        "/assets//etc/passwd",
        "/sneakers_23.db",
    ] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_purchase_that_is_sent_a_hundred_times_at_once_is_one_order() {
    let server = Server::start().await;
    let item = in_stock(&server.store.inventory.snapshot()).next().unwrap().id;
    let mut shopper = Shopper::arrive(server.address).await;
    shopper.add(item).await;
    let purchase = shopper.check_out().await;
    let sent = (0..100).map(|_| {
        let (mut tab, purchase) = (shopper.clone(), purchase.clone());
        async move { tab.pay(&purchase).await.unwrap() }
    });
    let replies = futures::future::join_all(sent).await;
    let location = replies[0].header("location").unwrap().to_owned();
    assert!(replies.iter().all(|reply| reply.status == 303 && reply.header("location") == Some(&location)));
    assert_eq!(ledger::totals(&server.store.database).await.unwrap().0, 1);
    assert_ledger(&server.store.database).await;
    let known = server.store.purchases.verify(&purchase).unwrap();
    assert!(matches!(server.store.checkout.buy(known).await, Answer::Bought(_)));
}
