//! A visitor without a script: a browser's cookies and forms, over the router and without a network.

use super::DEADLINE;
use app_service::password::Password;
use app_service::supervisor::Supervisor;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use bennu::Endpoint;
use bennu::pubsub::PubSub;
use bennu::token::Secret;
use sneakers_23::catalog::{ItemId, ProductId};
use sneakers_23::checkout::{Answer, CartId, Purchase};
use sneakers_23::database::Database;
use sneakers_23::inventory::shelf;
use sneakers_23::store::Store;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::time::timeout;
use tower::ServiceExt;

/// A node with its pages, whose database is in memory.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) router: Router,
    pub(crate) supervisor: Supervisor,
    /// The owner's password.
    pub(crate) password: String,
}

impl Site {
    /// Opens a store whose products are not released.
    pub(crate) async fn open() -> Self {
        let site = Site::idle(sneakers_23::database::open("sqlite::memory:").await.unwrap()).await;
        site.store.start(&site.supervisor);
        site
    }

    /// Opens a store whose products are released.
    pub(crate) async fn open_released() -> Self {
        let site = Site::idle_released().await;
        site.store.start(&site.supervisor);
        site
    }

    /// Opens a store whose products are released, and whose tasks are not started.
    pub(crate) async fn idle_released() -> Self {
        let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
        for product in [1, 2] {
            shelf::release(&database, ProductId(product)).await.unwrap();
        }
        Site::idle(database).await
    }

    async fn idle(database: Database) -> Self {
        let secret = Secret::new("a secret that only the tests of the pages have").unwrap();
        let endpoint = Endpoint::builder(secret).pubsub(PubSub::local()).build();
        let (owner, password) = Password::random().unwrap();
        let store = Store::open(database, endpoint, owner).await.unwrap();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let router = sneakers_23::app(&store, &assets).unwrap();
        Site { store, router, supervisor: Supervisor::new(), password }
    }

    /// Returns a visitor without cookies.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor { router: self.router.clone(), cookies: BTreeMap::new() }
    }

    /// Returns items with pairs left.
    pub(crate) fn in_stock(&self, count: usize) -> Vec<ItemId> {
        let shelf = self.store.inventory.snapshot();
        super::in_stock(&shelf).map(|item| item.id).take(count).collect()
    }

    /// Buys all pairs of an item, as other shoppers.
    pub(crate) async fn sell_all(&self, item: ItemId) {
        let shelf = self.store.inventory.snapshot();
        let left = shelf.item(item).unwrap().available;
        let wanted = (0..left).map(|_| Purchase::new(CartId::random().unwrap(), &[item], &shelf).unwrap());
        let answers = futures::future::join_all(wanted.map(|purchase| self.store.checkout.buy(purchase))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Bought(_))));
        self.until_shelf("the item is sold out", |site| site.available(item) == 0).await;
    }

    pub(crate) fn available(&self, item: ItemId) -> i64 {
        self.store.inventory.snapshot().item(item).unwrap().available
    }

    /// Waits until the inventory is as `is_met` requires.
    pub(crate) async fn until_shelf(&self, condition: &str, is_met: impl Fn(&Site) -> bool) {
        let mut changes = self.store.inventory.changes();
        let waiting = async {
            while !is_met(self) {
                changes.next().await;
            }
        };
        timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{condition}: not within {DEADLINE:?}"));
    }
}

/// A browser without scripts.
#[derive(Clone)]
pub(crate) struct Visitor {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A page, or another response.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Visitor {
    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends the fields of a form, which has no token unless they contain one.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// Sends a form with the token of the visitor's session.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.csrf_token().await;
        let mut fields = fields.to_vec();
        fields.push(("_csrf_token", &token));
        self.post(path, &fields).await
    }

    pub(crate) async fn csrf_token(&mut self) -> String {
        self.get("/").await.field("_csrf_token")
    }

    /// Puts an item into the cart.
    pub(crate) async fn add(&mut self, item: ItemId) -> Response {
        self.submit("/cart/add", &[("item_id", &item.to_string())]).await
    }

    /// Opens the checkout page, and returns the purchase of its form.
    pub(crate) async fn purchase(&mut self) -> String {
        self.get("/checkout").await.field("purchase")
    }

    /// Sends a purchase.
    pub(crate) async fn pay(&mut self, purchase: &str) -> Response {
        self.submit("/checkout", &[("purchase", purchase)]).await
    }

    /// Sends a request with the cookies of this browser, and keeps those of the response.
    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Response { status: parts.status, headers: parts.headers, body }
    }
}

impl Response {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(&name).unwrap_or_else(|| panic!("the response has no {name}")).to_str().unwrap()
    }

    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text());
        self.header(header::LOCATION)
    }

    /// Returns the value of the first field of that name.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) =
            self.text().split_once(&start).unwrap_or_else(|| panic!("no field {name:?} in {}", self.text()));
        rest.split('"').next().unwrap().to_owned()
    }

    /// Returns the text between two others, without the spaces around it.
    pub(crate) fn between(&self, start: &str, end: &str) -> &str {
        let (_, rest) = self.text().split_once(start).unwrap_or_else(|| panic!("no {start:?} in {}", self.text()));
        rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}")).0.trim()
    }

    #[track_caller]
    pub(crate) fn assert_has(&self, text: &str) {
        assert!(self.text().contains(text), "no {text:?} in {}", self.text());
    }

    #[track_caller]
    pub(crate) fn assert_lacks(&self, text: &str) {
        assert!(!self.text().contains(text), "there is {text:?} in {}", self.text());
    }
}

fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = text.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}
