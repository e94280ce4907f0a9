//! The shoppers: each has opened the store's page and holds three channels, as its script does.
//!
//! A task for each shopper reads its channels: it notes when it sees a release, and keeps the stock levels that its page
//! would show. The channels reconnect and rejoin by themselves.

use crate::browser::Browser;
use crate::sale::Buyer;
use crate::{Error, TIMEOUT};
use bennu_client::{ChannelEvent, Client, ClientChannel, Payload};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The shoppers that arrive at the same time.
const ARRIVALS: usize = 64;

/// The stock level of each item, as `low`.
pub(crate) type Levels = BTreeMap<i64, String>;

pub(crate) struct Shoppers {
    all: Vec<Shopper>,
    releases: mpsc::UnboundedReceiver<(i64, Instant)>,
    levels_changed: Arc<Notify>,
    _pages: JoinSet<Result<(), Error>>,
}

struct Shopper {
    buyer: Option<Buyer>,
    levels: Arc<Mutex<Levels>>,
}

/// The script of a page.
struct Script {
    products: [ClientChannel; 2],
    cart: ClientChannel,
    released: [bool; 2],
    releases: mpsc::UnboundedSender<(i64, Instant)>,
    levels: Arc<Mutex<Levels>>,
    levels_changed: Arc<Notify>,
}

/// The state of a product, which is the reply to a join.
#[derive(Deserialize)]
struct Product {
    released: bool,
    levels: Levels,
}

#[derive(Deserialize)]
struct StockChange {
    item_id: i64,
    level: String,
}

impl Shoppers {
    /// Lets shoppers open the page, connect and join.
    pub(crate) async fn arrive(port: u16, count: usize) -> Result<Self, Error> {
        let (released, releases) = mpsc::unbounded_channel();
        let (levels_changed, arrivals) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(ARRIVALS)));
        let mut arriving = JoinSet::new();
        for _ in 0..count {
            let (released, levels_changed) = (released.clone(), levels_changed.clone());
            let arrivals = arrivals.clone();
            arriving.spawn(async move {
                let _permit = arrivals.acquire().await?;
                timeout(TIMEOUT, open_page(port, released, levels_changed)).await?
            });
        }
        let (mut all, mut pages) = (Vec::with_capacity(count), JoinSet::new());
        while let Some(arrived) = arriving.join_next().await {
            let (shopper, script) = arrived??;
            all.push(shopper);
            pages.spawn(script.run());
        }
        Ok(Shoppers { all, releases, levels_changed, _pages: pages })
    }

    /// Waits until every shopper has seen the release of a product, and returns the times.
    pub(crate) async fn released(&mut self, product: i64) -> Result<Vec<Instant>, Error> {
        let mut seen = Vec::with_capacity(self.all.len());
        let all = async {
            while seen.len() < self.all.len() {
                match self.releases.recv().await {
                    Some((released, at)) if released == product => seen.push(at),
                    Some(_) => {}
                    None => break,
                }
            }
        };
        let _ = timeout(TIMEOUT, all).await;
        let (count, expected) = (seen.len(), self.all.len());
        if count == expected { Ok(seen) } else { Err(format!("{count} of {expected} shoppers saw the release").into()) }
    }

    /// Returns the browsers of the first shoppers.
    pub(crate) fn take_buyers(&mut self, count: usize) -> Vec<Buyer> {
        self.all.iter_mut().take(count).filter_map(|shopper| shopper.buyer.take()).collect()
    }

    /// Waits until every shopper sees these levels. Returns the time and the faults: one line for all that do not.
    pub(crate) async fn compare(&self, levels: &Levels) -> (Duration, Option<String>) {
        let start = Instant::now();
        let stale = || self.all.iter().filter(|shopper| *shopper.levels.lock() != *levels).count();
        let all_current = async {
            loop {
                let changed = self.levels_changed.notified();
                if stale() == 0 {
                    return;
                }
                changed.await;
            }
        };
        let _ = timeout(TIMEOUT, all_current).await;
        let stale = stale();
        let fault = (stale > 0).then(|| format!("the pages of {stale} shoppers show another stock than the database"));
        (start.elapsed(), fault)
    }
}

async fn open_page(
    port: u16,
    releases: mpsc::UnboundedSender<(i64, Instant)>,
    levels_changed: Arc<Notify>,
) -> Result<(Shopper, Script), Error> {
    let mut browser = Browser::new(port);
    let page = browser.get("/").await?;
    let csrf_token = page.value(r#"name="csrf-token""#, "content")?.to_owned();
    let cart_id = page.value(r#"name="cart-id""#, "content")?.to_owned();
    let session = browser.cookie("_sneakers_23").ok_or("the page set no session cookie")?;
    let client = Client::builder(format!("ws://127.0.0.1:{port}/product_socket"))
        .param("_csrf_token", csrf_token.as_str())
        .header("cookie", format!("_sneakers_23={session}"))
        .connect()
        .await?;
    let products = [client.join("product:1", json!({})).await?, client.join("product:2", json!({})).await?];
    let page_loaded_at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let visit = json!({ "serialized": null, "page": "/", "page_loaded_at": page_loaded_at });
    let cart = client.join(&format!("cart:{cart_id}"), visit).await?;
    let levels = Arc::new(Mutex::new(Levels::new()));
    let mut script = Script { products, cart, released: [false; 2], releases, levels: levels.clone(), levels_changed };
    for product in 0..2 {
        script.show(product, &script.products[product].response().clone())?;
    }
    Ok((Shopper { buyer: Some(Buyer { browser, csrf_token, cart_id }), levels }, script))
}

impl Script {
    async fn run(mut self) -> Result<(), Error> {
        loop {
            let [one, two] = &mut self.products;
            let (product, event) = tokio::select! {
                event = one.next_event() => (0, event),
                event = two.next_event() => (1, event),
                event = self.cart.next_event() => match event {
                    Some(_) => continue,
                    None => return Ok(()),
                },
            };
            match event.ok_or("a channel was closed")? {
                ChannelEvent::Joined(state) => self.show(product, &state)?,
                ChannelEvent::Message(message) if message.event == "released" => self.release(product),
                ChannelEvent::Message(message) if message.event == "stock_change" => {
                    let StockChange { item_id, level } = message.parse()?;
                    self.levels.lock().insert(item_id, level);
                    self.levels_changed.notify_one();
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, product: usize, state: &Payload) -> Result<(), Error> {
        let state: Product = state.parse()?;
        self.levels.lock().extend(state.levels);
        self.levels_changed.notify_one();
        if state.released {
            self.release(product);
        }
        Ok(())
    }

    fn release(&mut self, product: usize) {
        if !std::mem::replace(&mut self.released[product], true) {
            // The day may be over.
            let _ = self.releases.send((product as i64 + 1, Instant::now()));
        }
    }
}
