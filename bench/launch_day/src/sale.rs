//! The sale: all buyers pay at once, and each repeats its request until it has a final answer.

use crate::browser::{Browser, Page};
use crate::servers::Servers;
use crate::{Error, LaunchDay, TIMEOUT};
use rand::Rng;
use rand::seq::index::sample;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The sizes of both products.
const ITEMS: usize = 26;

/// The buyers that fill their carts at the same time.
const PREPARING: usize = 64;

/// The doors at which the buyers wait. With all of them open, all buyers pay at once.
const DOORS: usize = 4;

/// A shopper's browser.
pub(crate) struct Buyer {
    pub(crate) browser: Browser,
    pub(crate) csrf_token: String,
    pub(crate) cart_id: String,
}

/// A buyer at the till.
struct Ready {
    buyer: Buyer,
    /// The value of the form that buys.
    purchase: String,
    items: Vec<i64>,
}

/// A purchase with its final answer.
#[derive(Debug)]
pub(crate) struct Purchase {
    pub(crate) cart_id: String,
    pub(crate) items: Vec<i64>,
    pub(crate) answer: Answer,
    /// The time from the first request to the final answer.
    pub(crate) time: Duration,
    /// A page said that the outcome is not known.
    pub(crate) was_unknown: bool,
    /// The requests that were not answered by the store: by the proxy, or not at all.
    pub(crate) failed_requests: usize,
}

/// The final answer to a purchase.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The success page of this order.
    Bought(String),
    /// The refusal with this reason.
    Refused(String),
}

/// The state of the sale, for the kills in its middle.
#[derive(Default)]
struct Progress {
    answered: usize,
    unknown: usize,
}

/// Lets the buyers pay, and returns their purchases.
pub(crate) async fn run(day: &LaunchDay, servers: &mut Servers, buyers: Vec<Buyer>) -> Result<Vec<Purchase>, Error> {
    let count = buyers.len();
    let ready = prepare(buyers).await?;
    let progress = Arc::new(watch::Sender::new(Progress::default()));
    // With kills, half of the buyers pay later, in two groups.
    let doors = watch::Sender::new(if day.kill { 2 } else { DOORS });
    let mut tasks = JoinSet::new();
    for (index, ready) in ready.into_iter().enumerate() {
        let (progress, mut open) = (progress.clone(), doors.subscribe());
        tasks.spawn(async move {
            open.wait_for(|open| index % DOORS < *open).await?;
            timeout(TIMEOUT, ready.pay(&progress)).await.map_err(|_| "a purchase has no final answer")?
        });
    }
    let all = async {
        let mut purchases = Vec::with_capacity(count);
        while let Some(purchase) = tasks.join_next().await {
            purchases.push(purchase??);
        }
        Ok::<_, Error>(purchases)
    };
    let kills = async {
        if day.kill {
            kill_and_start_again(servers, count, progress.subscribe(), &doors).await?;
        }
        Ok::<_, Error>(())
    };
    Ok(tokio::try_join!(all, kills)?.0)
}

/// Kills a node in the middle of the first half, and the database as the next quarter pays. The last quarter pays while
/// it is down. The database comes back when a buyer has read that the outcome of its purchase is not known.
async fn kill_and_start_again(
    servers: &mut Servers,
    buyers: usize,
    mut progress: watch::Receiver<Progress>,
    doors: &watch::Sender<usize>,
) -> Result<(), Error> {
    progress.wait_for(|progress| progress.answered >= buyers / 8).await?;
    servers.kill_node().await?;
    if let Some(postgres) = servers.postgres() {
        doors.send_replace(3);
        postgres.kill().await;
        doors.send_replace(DOORS);
        timeout(TIMEOUT, progress.wait_for(|progress| progress.unknown > 0))
            .await
            .map_err(|_| "no buyer read that the outcome is not known")??;
        postgres.start_again().await;
    }
    doors.send_replace(DOORS);
    servers.start_node_again().await
}

/// Fills the carts and opens the checkout pages.
async fn prepare(buyers: Vec<Buyer>) -> Result<Vec<Ready>, Error> {
    let preparing = Arc::new(Semaphore::new(PREPARING));
    let mut tasks = JoinSet::new();
    for (index, buyer) in buyers.into_iter().enumerate() {
        let preparing = preparing.clone();
        tasks.spawn(async move {
            let _permit = preparing.acquire().await?;
            let items = sample(&mut rand::rng(), ITEMS, 1 + index % 2).into_iter().map(|item| item as i64 + 1);
            timeout(TIMEOUT, Ready::with_items(buyer, items.collect())).await?
        });
    }
    let mut all = Vec::new();
    while let Some(ready) = tasks.join_next().await {
        all.push(ready??);
    }
    Ok(all)
}

impl Ready {
    async fn with_items(mut buyer: Buyer, mut items: Vec<i64>) -> Result<Self, Error> {
        items.sort();
        for item in &items {
            let fields = [("_csrf_token", buyer.csrf_token.as_str()), ("item_id", &item.to_string())];
            let page = buyer.browser.post("/cart/add", &fields).await?;
            if page.location.as_deref() != Some("/#cart") {
                return Err(format!("could not add item {item} to a cart: {page:?}").into());
            }
        }
        let page = buyer.browser.get("/checkout").await?;
        let purchase = page.value(r#"name="purchase""#, "value")?.to_owned();
        Ok(Ready { buyer, purchase, items })
    }

    /// Pays, and looks again while the outcome is not known. A request without an answer of the store is repeated: it is
    /// the same purchase.
    async fn pay(mut self, progress: &watch::Sender<Progress>) -> Result<Purchase, Error> {
        let start = Instant::now();
        let (mut was_unknown, mut failed_requests) = (false, 0);
        let answer = loop {
            let page = match was_unknown {
                false => {
                    let fields = [("_csrf_token", self.buyer.csrf_token.as_str()), ("purchase", &self.purchase)];
                    self.buyer.browser.post("/checkout", &fields).await
                }
                true => self.buyer.browser.get(&format!("/checkout/outcome?purchase={}", self.purchase)).await,
            };
            match page {
                Ok(page) => match page.status {
                    303 => break Answer::Bought(order_of(&page)?),
                    409 => break Answer::Refused(page.value(r#"id="refusal""#, "data-reason")?.to_owned()),
                    202 => {
                        self.purchase = page.value(r#"id="unknown""#, "data-purchase")?.to_owned();
                        if !std::mem::replace(&mut was_unknown, true) {
                            progress.send_modify(|progress| progress.unknown += 1);
                        }
                    }
                    502..=504 => failed_requests += 1,
                    status => return Err(format!("a purchase was answered with status {status}: {page:?}").into()),
                },
                Err(_) => failed_requests += 1,
            }
            let pause = rand::rng().random_range(200..600);
            sleep(Duration::from_millis(pause)).await;
        };
        let time = start.elapsed();
        progress.send_modify(|progress| progress.answered += 1);
        if let Answer::Bought(order) = &answer {
            self.read_success_page(order).await?;
        }
        let (cart_id, items) = (self.buyer.cart_id, self.items);
        Ok(Purchase { cart_id, items, answer, time, was_unknown, failed_requests })
    }

    /// Opens the success page, which needs the database, and compares its items with those of the cart.
    async fn read_success_page(&mut self, order: &str) -> Result<(), Error> {
        loop {
            let page = self.buyer.browser.get(&format!("/checkout/complete/{order}")).await;
            match page {
                Ok(page) if page.status == 200 => {
                    let shown: Vec<_> = page.values("data-item-id").iter().map(|item| item.parse()).collect();
                    let expected: Vec<_> = self.items.iter().copied().map(Ok).collect();
                    page.value(r#"id="order-number""#, "data-number")?;
                    return match shown == expected {
                        true => Ok(()),
                        false => {
                            Err(format!("order {order} has the items {:?} and shows {shown:?}", self.items).into())
                        }
                    };
                }
                Ok(page) if page.status < 500 => {
                    return Err(format!("could not open the page of order {order}: {page:?}").into());
                }
                _ => sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

/// Returns the order to whose page a response leads.
fn order_of(page: &Page) -> Result<String, Error> {
    let order = page.location.as_deref().and_then(|location| location.strip_prefix("/checkout/complete/"));
    order.map(str::to_owned).ok_or_else(|| format!("a purchase led to {:?}", page.location).into())
}
