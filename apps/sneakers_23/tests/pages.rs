//! The pages without a script, over the router: the store, the cart, the checkout, and their refusals.

mod support;

use axum::http::{StatusCode, header};
use bennu_testkit::prelude::*;
use sneakers_23::catalog::{Cents, ItemId, ProductId};
use sneakers_23::checkout::ledger;
use support::visitor::{Response, Site};

#[tokio::test]
async fn a_product_is_coming_soon_until_its_release_and_then_shows_its_sizes() {
    let site = Site::open().await;
    let page = site.visitor().get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_has(r#"id="product-1" aria-labelledby="name-1" data-product-id="1" data-state="soon""#);
    page.assert_has(r#"data-price="12000">$120.00<"#);
    page.assert_has("coming soon");
    page.assert_lacks("name=\"item_id\" value=\"1\"");

    site.store.inventory.release(ProductId(1)).await.unwrap();
    let page = site.visitor().get("/").await;
    page.assert_has(r#"data-product-id="1" data-state="live""#);
    page.assert_has(r#"data-product-id="2" data-state="soon""#);
    let shelf = site.store.inventory.snapshot();
    for item in shelf.items_of(ProductId(1)) {
        let label = page.between(&format!(r#"<label class="size" data-item-id="{}""#, item.id), "</label>");
        let (level, words) = match item.level().name() {
            "out" => ("out", "sold out"),
            "low" => ("low", "few left"),
            "medium" => ("medium", "limited"),
            _ => ("high", "in stock"),
        };
        assert!(label.contains(&format!(r#"data-stock="{level}""#)), "{label}");
        assert!(label.ends_with(&format!("<b>{}</b><small>{words}</small>", item.size)), "{label}");
        assert_eq!(label.contains(" disabled"), item.available == 0, "{label}");
    }
}

#[tokio::test]
async fn a_product_without_a_pair_is_sold_out() {
    let site = Site::open_released().await;
    let items: Vec<_> = site.store.inventory.snapshot().items_of(ProductId(2)).map(|item| item.id).collect();
    for item in items {
        site.sell_all(item).await;
    }
    site.visitor().get("/").await.assert_has(r#"data-product-id="2" data-state="sold-out""#);
}

#[tokio::test]
async fn the_html_of_a_release_is_the_same_for_every_shopper() {
    let site = Site::open_released().await;
    let sizes = |page: &Response| page.between(r#"id="sizes-1" data-live>"#, "</form>").to_owned();
    let (one, two) = (site.visitor().get("/").await, site.visitor().get("/").await);
    assert_ne!(one.field("_csrf_token"), two.field("_csrf_token"));
    assert_eq!(sizes(&one), sizes(&two));
    // So the token of the form stands beside it, and belongs to it by the id of the form.
    one.assert_has(r#"form="add-1""#);
    one.assert_has(r#"<form class="add" id="add-1" method="post" action="/cart/add""#);
}

#[tokio::test]
async fn forms_fill_and_empty_the_cart_and_its_cookie_keeps_it() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let [first, second] = site.in_stock(2)[..] else { panic!("two items are in stock") };
    let added = visitor.add(first).await;
    assert_eq!(added.location(), "/#cart");
    let cookie = added.header(header::SET_COOKIE);
    assert!(cookie.starts_with("cart=") && cookie.ends_with("; Path=/; Max-Age=604800; SameSite=Lax"), "{cookie}");
    visitor.add(second).await;

    let page = visitor.get("/").await;
    page.assert_has(r#"data-subtotal="24000">$240.00<"#);
    page.assert_has(r#"data-cart-count="2">2<"#);
    for item in [first, second] {
        page.assert_has(&format!(r#"<li class="line" data-item-id="{item}" data-product-id="1" data-state="held">"#));
    }
    let removed = visitor.submit("/cart/remove", &[("item_id", &first.to_string()), ("back", "/checkout")]).await;
    assert_eq!(removed.location(), "/checkout");
    // Removing it again changes nothing.
    let removed = visitor.submit("/cart/remove", &[("item_id", &first.to_string()), ("back", "/")]).await;
    assert_eq!(removed.location(), "/#cart");
    visitor.get("/checkout").await.assert_has(r#"data-total="12000">$120.00<"#);
}

#[tokio::test]
async fn an_item_that_cannot_be_added_leads_back_with_a_sentence() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    let item = site.in_stock(1)[0];
    let answer = visitor.add(item).await;
    assert!(answer.location().starts_with("/?problem=not_released"), "{}", answer.location());

    site.store.inventory.release(ProductId(1)).await.unwrap();
    visitor.add(item).await;
    let answer = visitor.add(item).await;
    let (location, fragment) = answer.location().split_once('#').unwrap();
    assert_eq!((location, fragment), (&*format!("/?problem=duplicate_item&item_id={item}"), "cart"));
    let page = visitor.get(location).await;
    assert_eq!(page.status, StatusCode::OK);
    let problem = page.between(r#"id="cart-problem" role="alert">"#, "</p>");
    assert!(problem.starts_with("Shift Runner, size ") && problem.contains("in your cart already"), "{problem}");

    let gone = support::sold_out(&site.store.inventory.snapshot());
    site.store.inventory.release(ProductId(2)).await.unwrap();
    assert!(visitor.add(gone).await.location().starts_with("/?problem=out_of_stock"));
}

#[tokio::test]
async fn a_cart_of_another_secret_is_an_empty_cart() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    visitor.add(site.in_stock(1)[0]).await;
    for forged in ["nonsense", "a.b.c", ""] {
        visitor.cookies.insert("cart".to_owned(), forged.to_owned());
        let page = visitor.get("/").await;
        assert_eq!(page.status, StatusCode::OK);
        page.assert_has(r#"data-cart-count="0">0<"#);
    }
}

#[tokio::test]
async fn values_that_cannot_be_right_are_refused_with_the_value_and_the_limit() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    for value in ["0", "-1", "27", "9223372036854775808", "1e3", "", "1; DROP TABLE items"] {
        for path in ["/cart/add", "/cart/remove"] {
            let answer = visitor.submit(path, &[("item_id", value)]).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{value:?}");
            answer.assert_has(&format!("&#34;{value}&#34; is not an item of the store"));
            answer.assert_has("the items have the numbers 1 to 26");
        }
    }
    let missing = visitor.submit("/cart/add", &[]).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    missing.assert_has("The field &#34;item_id&#34; is missing.");

    let elsewhere = visitor.submit("/cart/remove", &[("item_id", "1"), ("back", "https://example.org/")]).await;
    assert_eq!(elsewhere.status, StatusCode::BAD_REQUEST);
    elsewhere.assert_has("it must be / or /checkout");

    for query in ["problem=%3Cscript%3E", "problem=not_found&item_id=-5", "problem=not_found", "problem=%FF%FE"] {
        let page = visitor.get(&format!("/?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        page.assert_lacks("<script>");
    }
    let long = visitor.get(&format!("/?problem={}", "x".repeat(5000))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert!(long.body.len() < 4000, "a page repeats only the beginning of a long value");
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_is_refused_and_logged_once() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    visitor.get("/").await;
    let stranger = site.visitor().csrf_token().await;
    let item = site.in_stock(1)[0].to_string();
    for path in ["/cart/add", "/cart/remove", "/checkout", "/admin/login", "/admin/logout"] {
        for token in [None, Some(""), Some("guessed"), Some(&*stranger)] {
            let log = capture_log();
            let mut fields = vec![("item_id", &*item), ("password", "guess"), ("purchase", "guess")];
            fields.extend(token.map(|token| ("_csrf_token", token)));
            let answer = visitor.post(path, &fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with {token:?}");
            answer.assert_has("This form is too old or came from another site.");
            let warnings: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("WARN")).collect();
            assert_eq!(warnings, [format!("WARN rejected a form without the CSRF token of its session path={path}")]);
        }
    }
    visitor.get("/").await.assert_has(r#"data-cart-count="0">0<"#);
}

#[tokio::test]
async fn every_page_has_the_security_headers_and_no_cache_stores_a_token() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    for path in ["/", "/checkout", "/admin"] {
        let page = visitor.get(path).await;
        assert_eq!(page.header(header::CACHE_CONTROL), "no-store, must-revalidate", "{path}");
        assert_safe(&page);
    }
    let unknown = visitor.get("/nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    unknown.assert_has("There is no page here.");
    assert_safe(&unknown);
    let wrong = visitor.get("/cart/add").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    wrong.assert_has("&#34;/cart/add&#34; does not take GET requests.");
    assert_safe(&wrong);
}

fn assert_safe(page: &Response) {
    assert!(page.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'self'"));
    assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(page.header(header::REFERRER_POLICY), "same-origin");
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    // The policy blocks them.
    page.assert_lacks(" style=\"");
    page.assert_lacks("<script>");
}

#[tokio::test]
async fn a_session_is_made_at_the_first_visit_and_kept() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    let first = visitor.get("/").await;
    let cookie = first.header(header::SET_COOKIE);
    assert!(cookie.starts_with("_sneakers_23=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let cart = |page: &Response| page.between(r#"<meta name="cart-id" content=""#, "\"").to_owned();
    assert_eq!(cart(&first).len(), 64);
    let second = visitor.get("/").await;
    assert!(!second.headers.contains_key(header::SET_COOKIE));
    assert_eq!(cart(&second), cart(&first));
    visitor.cookies.insert("_sneakers_23".to_owned(), "SFMyNTY.forged.forged".to_owned());
    assert_ne!(cart(&visitor.get("/").await), cart(&first));
}

#[tokio::test]
async fn a_purchase_that_is_sent_twice_is_one_order_and_has_one_answer() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let items = site.in_stock(2);
    for item in &items {
        visitor.add(*item).await;
    }
    let before: Vec<_> = items.iter().map(|item| site.available(*item)).collect();
    let purchase = visitor.purchase().await;
    let mut other_tab = visitor.clone();
    let (one, two) = tokio::join!(visitor.pay(&purchase), other_tab.pay(&purchase));
    assert!(one.location().starts_with("/checkout/complete/"));
    assert_eq!(one.location(), two.location());
    assert_eq!(ledger::totals(&site.store.database).await.unwrap(), (1, Cents(24_000)));
    site.until_shelf("two pairs are sold", |site| {
        items.iter().zip(&before).all(|(item, before)| site.available(*item) == before - 1)
    })
    .await;

    let page = visitor.get(one.location()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store, must-revalidate");
    page.assert_has(r#"id="order-number" data-number=""#);
    page.assert_has(r#"data-total="24000">$240.00<"#);
    page.assert_has(r#"data-cart-count="0">0<"#);
    for item in items {
        page.assert_has(&format!(r#"<li class="line" data-item-id="{item}""#));
    }
    support::assert_ledger(&site.store.database).await;
}

#[tokio::test]
async fn only_the_session_that_bought_sees_the_order() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    visitor.add(site.in_stock(1)[0]).await;
    let purchase = visitor.purchase().await;
    let location = visitor.pay(&purchase).await.location().to_owned();
    assert_eq!(site.visitor().get(&location).await.status, StatusCode::NOT_FOUND);
    for id in ["1", "%F0%9F%91%9F", "00000000000000000000000000", "' OR 1=1 --"] {
        let path = format!("/checkout/complete/{}", id.replace(' ', "%20"));
        assert_eq!(visitor.get(&path).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn a_purchase_of_another_session_or_of_another_secret_is_refused() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    visitor.add(site.in_stock(1)[0]).await;
    let purchase = visitor.purchase().await;
    let mut forged = purchase.clone();
    forged.pop();
    let attempts = [(site.visitor(), &*purchase), (visitor.clone(), &*forged), (visitor.clone(), "")];
    for (mut visitor, purchase) in attempts {
        let answer = visitor.pay(purchase).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        answer.assert_has("This checkout page cannot be used any more.");
        let outcome = visitor.get(&format!("/checkout/outcome?purchase={purchase}")).await;
        assert_eq!(outcome.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(visitor.get("/checkout/outcome").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ledger::totals(&site.store.database).await.unwrap().0, 0);
}

#[tokio::test]
async fn an_empty_cart_has_nothing_to_pay() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let page = visitor.get("/checkout").await;
    page.assert_has("Your cart is empty, so there is nothing to pay.");
    page.assert_lacks("id=\"pay\"");

    // A cart that another tab has emptied since.
    let item = site.in_stock(1)[0];
    visitor.add(item).await;
    visitor.submit("/cart/remove", &[("item_id", &item.to_string())]).await;
    visitor.get("/checkout").await.assert_lacks("id=\"pay\"");
}

#[tokio::test]
async fn a_cart_with_a_pair_that_sold_out_is_refused_as_a_whole_and_stays() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let [gone, left] = site.in_stock(2)[..] else { panic!("two items are in stock") };
    visitor.add(gone).await;
    visitor.add(left).await;
    let purchase = visitor.purchase().await;
    site.sell_all(gone).await;
    let before = site.available(left);

    let refusal = visitor.pay(&purchase).await;
    assert_eq!(refusal.status, StatusCode::CONFLICT);
    refusal.assert_has(r#"id="refusal" data-reason="sold_out""#);
    refusal.assert_has(&format!(r#"<li class="line" data-item-id="{gone}""#));
    refusal.assert_lacks(&format!(r#"data-item-id="{left}""#));
    refusal.assert_has(r##"id="back-to-cart" href="/#cart""##);
    assert_eq!(site.available(left), before);

    let cart = visitor.get("/").await;
    cart.assert_has(&format!(r#"<li class="line" data-item-id="{gone}" data-product-id="1" data-state="out">"#));
    cart.assert_has(r#"data-subtotal="12000""#);
    visitor.get("/checkout").await.assert_has("A pair in your cart has sold out.");
    support::assert_ledger(&site.store.database).await;
}

#[tokio::test]
async fn a_price_that_changed_is_shown_before_anything_is_bought() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    visitor.add(site.in_stock(1)[0]).await;
    let purchase = visitor.purchase().await;
    site.store.inventory.set_price(ProductId(1), Cents(9_950)).await.unwrap();
    let refusal = visitor.pay(&purchase).await;
    assert_eq!(refusal.status, StatusCode::CONFLICT);
    refusal.assert_has(r#"data-reason="changed""#);
    refusal.assert_has("$99.50");
    let purchase = visitor.purchase().await;
    assert!(visitor.pay(&purchase).await.location().starts_with("/checkout/complete/"));
    assert_eq!(ledger::totals(&site.store.database).await.unwrap(), (1, Cents(9_950)));
}

#[tokio::test]
async fn an_outcome_that_is_not_known_has_a_page_that_finds_it_later() {
    let site = Site::idle_released().await;
    let mut visitor = site.visitor();
    let item = site.in_stock(1)[0];
    visitor.add(item).await;
    let purchase = visitor.purchase().await;
    let token = visitor.csrf_token().await;
    // No committer runs, so the answer does not come within its limit.
    tokio::time::pause();
    let unknown = visitor.post("/checkout", &[("purchase", &purchase), ("_csrf_token", &token)]).await;
    tokio::time::resume();
    assert_eq!(unknown.status, StatusCode::ACCEPTED);
    unknown.assert_has("We do not know yet whether your purchase went through.");
    let sent = unknown.between(r#"id="unknown" data-purchase=""#, "\"").to_owned();
    let outcome = format!("/checkout/outcome?purchase={sent}");
    // Without a script the page looks again by itself.
    unknown.assert_has(&format!(r#"<noscript><meta http-equiv="refresh" content="5; url={outcome}"></noscript>"#));

    site.store.start(&site.supervisor);
    let known = visitor.get(&outcome).await;
    let is_bought = known.status == StatusCode::SEE_OTHER;
    if !is_bought {
        assert_eq!(known.status, StatusCode::CONFLICT);
        known.assert_has(r#"data-reason="not_completed""#);
    }
    // The answer is final: the form that was sent before changes nothing.
    let again = visitor.pay(&purchase).await;
    assert_eq!(again.status, known.status);
    assert_eq!(ledger::totals(&site.store.database).await.unwrap().0, i64::from(is_bought));
    support::assert_ledger(&site.store.database).await;
}

#[tokio::test]
async fn the_owner_logs_in_with_the_password_and_out_again() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    let login = visitor.get("/admin").await;
    login.assert_has(r#"action="/admin/login""#);
    login.assert_lacks("admin-token");
    let token = login.field("_csrf_token");

    let wrong = visitor.post("/admin/login", &[("password", "guess"), ("_csrf_token", &token)]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    wrong.assert_has("This is not the password.");
    wrong.assert_lacks("guess");
    let long = "x".repeat(1025);
    let long = visitor.post("/admin/login", &[("password", &long), ("_csrf_token", &token)]).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    long.assert_has("at most 1024");

    let right = visitor.post("/admin/login", &[("password", &site.password), ("_csrf_token", &token)]).await;
    assert_eq!(right.location(), "/admin");
    let dashboard = visitor.get("/admin").await;
    dashboard.assert_has(r#"<meta name="admin-token" content="SFMyNTY."#);
    assert_eq!(dashboard.text().matches("<tr data-item-id=").count(), 26);
    assert_eq!(dashboard.header(header::CACHE_CONTROL), "no-store, must-revalidate");
    assert_ne!(dashboard.field("_csrf_token"), token, "a token from before the login is of no use");

    let out = visitor.submit("/admin/logout", &[]).await;
    assert_eq!(out.location(), "/");
    visitor.get("/admin").await.assert_lacks("admin-token");
    site.visitor().get("/admin").await.assert_lacks("admin-token");
}

#[tokio::test]
async fn many_attempts_to_log_in_have_to_wait() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    let token = visitor.get("/admin").await.field("_csrf_token");
    for _ in 0..5 {
        let answer = visitor.post("/admin/login", &[("password", "guess"), ("_csrf_token", &token)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let answer = visitor.post("/admin/login", &[("password", &site.password), ("_csrf_token", &token)]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = answer.header(header::RETRY_AFTER).parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    answer.assert_has("There were too many attempts");
}

#[tokio::test]
async fn an_item_in_the_cart_twice_is_there_once() {
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let ids = [ItemId(1), ItemId(1)];
    for id in ids {
        site.store.inventory.restock(id, 1).await.unwrap();
        visitor.add(id).await;
    }
    assert_eq!(visitor.get("/checkout").await.text().matches(r#"<li class="line" data-item-id="1""#).count(), 1);
}
