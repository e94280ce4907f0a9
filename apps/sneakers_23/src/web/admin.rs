//! The owner's pages: the login, and the dashboard, which `admin.js` keeps current over `/admin_socket`.
//!
//! The dashboard is rendered with the stock of this node's inventory. Orders and shoppers arrive over the channels, so
//! the page loads while the database does not answer.

use crate::catalog::{Item, Product};
use crate::inventory::{MAX_PRICE, MAX_RESTOCK};
use crate::socket::Owner;
use crate::store::Store;
use app_service::web::{Form, Frame, Peer, Problem, Visitor, check_password, page};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    csrf_token: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "admin.html")]
struct AdminPage {
    frame: Frame<Owner>,
    node: String,
    products: Vec<Shelf>,
    max_restock: i64,
    max_price_dollars: i64,
}

struct Shelf {
    product: Product,
    items: Vec<Item>,
}

impl Shelf {
    /// Returns the price as a field shows it, as `120.00`.
    fn dollars(&self) -> String {
        self.product.price.to_string().trim_start_matches('$').to_owned()
    }
}

/// `GET /admin`: the dashboard for the owner, the login for others.
pub(super) async fn show(State(store): State<Store>, visitor: Visitor) -> Result<Response, Problem> {
    let frame = Frame::<Owner>::new(&visitor, &store.endpoint)?;
    if frame.user.is_none() {
        return login_page(StatusCode::OK, &frame.csrf_token, None);
    }
    let shelf = store.inventory.snapshot();
    let products = shelf
        .products()
        .map(|product| Shelf { product: product.clone(), items: shelf.items_of(product.id).cloned().collect() });
    let dashboard = AdminPage {
        frame,
        node: store.endpoint.pubsub().node().to_string(),
        products: products.collect(),
        max_restock: MAX_RESTOCK,
        max_price_dollars: MAX_PRICE.0 / 100,
    };
    page(StatusCode::OK, &dashboard)
}

/// `POST /admin/login`: signs the owner in, for twelve hours.
pub(super) async fn log_in(
    State(store): State<Store>,
    visitor: Visitor,
    peer: Peer,
    Form(fields): Form,
) -> Result<Response, Problem> {
    match check_password(&store.owner, fields.required("password")?, peer).await {
        Ok(()) => Ok((visitor.sign_in(Owner)?, Redirect::to("/admin")).into_response()),
        Err(rejected) => {
            let page = login_page(rejected.status, visitor.csrf_token(), Some(rejected.text))?;
            Ok((rejected.retry_after, page).into_response())
        }
    }
}

/// `POST /admin/logout`: signs the owner out, and closes the connections of the dashboard's pages.
pub(super) async fn log_out(State(store): State<Store>, visitor: Visitor, Form(_): Form) -> Result<Response, Problem> {
    if let Some(signed_in) = visitor.signed_in::<Owner>()
        && let Err(error) = store.endpoint.disconnect(&signed_in.socket_id())
    {
        tracing::warn!(%error, "could not close the owner's connections");
    }
    Ok((visitor.sign_out()?, Redirect::to("/")).into_response())
}

fn login_page(status: StatusCode, csrf_token: &str, error: Option<String>) -> Result<Response, Problem> {
    page(status, &LoginPage { csrf_token: csrf_token.to_owned(), error })
}
