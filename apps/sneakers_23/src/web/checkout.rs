//! The checkout: the page with the cart's lines and its form, and the pages of each outcome of a purchase.
//!
//! The page makes the purchase and signs it into the form, so a form that is sent again is the same purchase with the
//! same answer. Only the session that made a purchase may send it, or see its order.

use super::shopper::{Shell, Shopper, set_cart_cookie};
use crate::announcer;
use crate::catalog::Cents;
use crate::checkout::ledger;
use crate::checkout::{Answer, CartChange, CartView, LineView, Order, Purchase, PurchaseId, Refusal};
use crate::store::Store;
use app_service::web::{Fields, Form, PathPart, Problem, page};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use std::fmt::Display;

/// The seconds after which a browser may send a purchase again that found a full queue.
const RETRY_AFTER_S: &str = "2";

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage {
    shell: Shell,
    cart: CartView,
    purchase: String,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    shell: Shell,
    reason: &'static str,
    title: &'static str,
    text: &'static str,
    lines: Vec<LineView>,
}

#[derive(Template)]
#[template(path = "unknown.html")]
struct UnknownPage {
    shell: Shell,
    purchase: String,
}

#[derive(Template)]
#[template(path = "complete.html")]
struct CompletePage {
    shell: Shell,
    order: OrderView,
}

struct OrderView {
    number: String,
    lines: Vec<LineView>,
    total: Cents,
}

/// `GET /checkout`: the cart's lines, and the form that buys them.
pub(super) async fn show(State(store): State<Store>, shopper: Shopper) -> Result<Response, Problem> {
    let shelf = store.inventory.snapshot();
    let purchase = Purchase::new(shopper.cart_id.clone(), shopper.cart.items(), &shelf);
    let purchase = purchase.map_err(|error| Problem::internal(&error))?;
    let checkout = CheckoutPage {
        shell: shopper.shell("/checkout"),
        cart: CartView::new(&shopper.cart, &shelf),
        purchase: store.purchases.sign(&purchase),
    };
    page(StatusCode::OK, &checkout)
}

/// `POST /checkout`: buys the purchase of the form.
pub(super) async fn buy(State(store): State<Store>, shopper: Shopper, Form(fields): Form) -> Result<Response, Problem> {
    let purchase = purchase_of(&fields, &shopper, &store)?;
    let answer = store.checkout.buy(purchase.clone()).await;
    answered(answer, &purchase, &store, shopper)
}

/// `GET /checkout/outcome`: the outcome of a purchase that was sent before.
pub(super) async fn outcome(State(store): State<Store>, shopper: Shopper, fields: Fields) -> Result<Response, Problem> {
    let purchase = purchase_of(&fields, &shopper, &store)?;
    let answer = store.checkout.outcome(&purchase).await;
    answered(answer, &purchase, &store, shopper)
}

/// `GET /checkout/complete/{id}`: the order, for the session that bought it.
pub(super) async fn complete(
    State(store): State<Store>,
    shopper: Shopper,
    PathPart(id): PathPart<String>,
) -> Result<Response, Problem> {
    let id = PurchaseId::parse(&id).ok_or_else(Problem::not_found)?;
    let order = store.database.run(ledger::order(&store.database, &id)).await.map_err(|error| no_database(&error))?;
    let order = order.filter(|order| order.cart_id == shopper.cart_id).ok_or_else(Problem::not_found)?;
    let shell = shopper.shell("/checkout/complete");
    page(StatusCode::OK, &CompletePage { shell, order: OrderView::new(&order, &store) })
}

/// The database does not answer, and the page needs it.
fn no_database(error: &impl Display) -> Problem {
    tracing::warn!(%error, "could not read the database for a page");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The store cannot look this up right now.",
        "Nothing is lost: an order that was confirmed is kept. Reload this page in a moment.",
    )
}

/// Returns the purchase in the field `purchase`, which must be one of this session.
fn purchase_of(fields: &Fields, shopper: &Shopper, store: &Store) -> Result<Purchase, Problem> {
    let purchase = store.purchases.verify(fields.required("purchase")?);
    purchase.filter(|purchase| purchase.cart_id == shopper.cart_id).ok_or_else(|| {
        tracing::warn!("rejected a purchase that this session has not made, or that is older than a day");
        let text = "A checkout page is good for one day, and only in the browser that opened it. Nothing was bought.";
        Problem::new(StatusCode::BAD_REQUEST, "This checkout page cannot be used any more.", text)
            .back("/checkout", "Go to the checkout")
    })
}

fn answered(answer: Answer, purchase: &Purchase, store: &Store, mut shopper: Shopper) -> Result<Response, Problem> {
    let shell = shopper.shell("/checkout");
    match answer {
        Answer::Bought(order) => {
            announcer::remove_bought(&store.endpoint, &order);
            fail::fail_point!("purchase-emptied", |_| std::process::abort());
            shopper.cart.apply(&CartChange::Bought(order.items()));
            let emptied = set_cart_cookie(&store.carts, &shopper.cart);
            Ok((emptied, Redirect::to(&format!("/checkout/complete/{}", order.id))).into_response())
        }
        Answer::Refused(refusal) => page(StatusCode::CONFLICT, &RefusalPage::new(&refusal, purchase, store, shell)),
        Answer::Unknown => page(StatusCode::ACCEPTED, &UnknownPage { shell, purchase: store.purchases.sign(purchase) }),
        Answer::Busy => {
            let text = "Very many orders arrive right now. Nothing was bought: go back and pay again.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The till is full for a moment.", text);
            let problem = problem.back("/checkout", "Back to the checkout");
            Ok(([(header::RETRY_AFTER, RETRY_AFTER_S)], problem).into_response())
        }
    }
}

impl RefusalPage {
    fn new(refusal: &Refusal, purchase: &Purchase, store: &Store, shell: Shell) -> Self {
        let shelf = store.inventory.snapshot();
        let (title, text) = match refusal {
            Refusal::Empty => ("There was nothing to buy.", "Your cart was empty when you paid."),
            Refusal::SoldOut(_) => {
                ("Somebody was faster.", "These pairs sold out before your order, and a cart is bought as a whole:")
            }
            Refusal::NotReleased(_) => ("Not released yet.", "These pairs cannot be bought at the moment:"),
            Refusal::Changed(_) => (
                "The price has changed.",
                "These pairs have another price now. Look at it, and pay again if you agree:",
            ),
            Refusal::NotCompleted => (
                "Your purchase did not go through.",
                "The store could not complete it in time, and it will not be completed later. You may pay again.",
            ),
        };
        let lines = refusal.items().iter().filter_map(|id| {
            let line = purchase.lines.iter().find(|line| line.item_id == *id)?;
            match refusal {
                Refusal::Changed(_) => LineView::of_item(*id, &shelf),
                _ => LineView::of_order(line, &shelf),
            }
        });
        RefusalPage { shell, reason: refusal.name(), title, text, lines: lines.collect() }
    }
}

impl OrderView {
    fn new(order: &Order, store: &Store) -> Self {
        let shelf = store.inventory.snapshot();
        let lines = order.lines.iter().filter_map(|line| LineView::of_order(line, &shelf)).collect();
        OrderView { number: order.id.number(), lines, total: order.total() }
    }
}
