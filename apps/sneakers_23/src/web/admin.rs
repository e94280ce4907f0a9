//! The owner's pages: the login, and the dashboard, which `admin.js` keeps current over `/admin_socket`.
//!
//! The dashboard is rendered with the stock of this node's inventory. Orders and shoppers arrive over the channels, so
//! the page loads while the database does not answer.

use super::form::Form;
use super::page::personal;
use super::problem::Problem;
use super::session::Session;
use crate::catalog::{Item, Product};
use crate::inventory::{MAX_PRICE, MAX_RESTOCK};
use crate::socket::{ADMIN_SALT, AdminSocket};
use crate::store::Store;
use app_service::password::Denied;
use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    csrf_token: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "admin.html")]
struct AdminPage {
    csrf_token: String,
    admin_token: String,
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
pub(super) async fn show(State(store): State<Store>, session: Session) -> Result<Response, Problem> {
    let Some(login) = session.login() else {
        return Ok(login_page(StatusCode::OK, &session, None));
    };
    let shelf = store.inventory.snapshot();
    let products = shelf
        .products()
        .map(|product| Shelf { product: product.clone(), items: shelf.items_of(product.id).cloned().collect() });
    let page = AdminPage {
        csrf_token: session.csrf_token().to_owned(),
        admin_token: store.endpoint.sign(ADMIN_SALT, &login).map_err(|error| Problem::internal(&error))?,
        node: store.endpoint.pubsub().node().to_string(),
        products: products.collect(),
        max_restock: MAX_RESTOCK,
        max_price_dollars: MAX_PRICE.0 / 100,
    };
    Ok(personal(StatusCode::OK, &page))
}

/// `POST /admin/login`: begins a login, which ends after twelve hours.
pub(super) async fn log_in(
    State(store): State<Store>,
    session: Session,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Form(fields): Form,
) -> Result<Response, Problem> {
    // A server always knows the address of its peer; without one, all peers share one count.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(ConnectInfo(peer))| peer.ip());
    let Err(denied) = store.owner.verify(fields.required("password")?, peer).await else {
        tracing::info!(%peer, "the owner logged in");
        let session = session.logged_in().map_err(|error| Problem::internal(&error))?;
        return Ok(([(header::SET_COOKIE, session.set_cookie(&store)?)], Redirect::to("/admin")).into_response());
    };
    tracing::warn!(%peer, %denied, "rejected a login of the owner");
    let error = Some(sentence(&denied.to_string()));
    Ok(match denied {
        Denied::TooMany { retry_after } => {
            let seconds = retry_after.as_secs_f64().ceil().to_string();
            let page = login_page(StatusCode::TOO_MANY_REQUESTS, &session, error);
            ([(header::RETRY_AFTER, seconds)], page).into_response()
        }
        Denied::TooLong { .. } => login_page(StatusCode::BAD_REQUEST, &session, error),
        _ => login_page(StatusCode::UNAUTHORIZED, &session, error),
    })
}

/// `POST /admin/logout`: ends the login, and the connections of its pages.
pub(super) async fn log_out(State(store): State<Store>, session: Session, Form(_): Form) -> Result<Response, Problem> {
    if let Some(login) = session.login() {
        let closed = store.endpoint.disconnect(&AdminSocket::id_of(login));
        if let Err(error) = closed {
            tracing::warn!(%error, "could not close the owner's connections");
        }
    }
    let session = session.logged_out().map_err(|error| Problem::internal(&error))?;
    Ok(([(header::SET_COOKIE, session.set_cookie(&store)?)], Redirect::to("/")).into_response())
}

fn login_page(status: StatusCode, session: &Session, error: Option<String>) -> Response {
    personal(status, &LoginPage { csrf_token: session.csrf_token().to_owned(), error })
}

/// Returns an error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}
