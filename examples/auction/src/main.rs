//! An auction room: `room` has the socket and the channel, `store` the database that they share, and this file the HTTP.
//!
//! It serves http://localhost:4000. `PORT`, `DATABASE`, `SECRET_KEY_BASE` and `AUCTIONEER_PASSWORD` change the defaults.

mod room;
mod store;
#[cfg(test)]
mod tests;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use bennu::error::MountError;
use bennu::prelude::*;
use room::{SALT, User, UserSocket};
use serde::Deserialize;
use std::{env, error::Error, fmt::Display};
use store::Store;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let random = || getrandom::u64().map(|random| format!("{random:016x}"));
    let password = env::var("AUCTIONEER_PASSWORD").or_else(|_| random())?;
    let endpoint = Endpoint::new(match env::var_os("SECRET_KEY_BASE") {
        Some(_) => Secret::from_env("SECRET_KEY_BASE")?,
        None => Secret::new(random()?.repeat(2))?,
    });
    let listener = bennu::bind(([127, 0, 0, 1], env::var("PORT").map_or(Ok(4000), |port| port.parse())?))?;
    let store = Store::open(&env::var("DATABASE").unwrap_or_else(|_| "auction.db".to_owned())).await?;
    let id = store.open_auction("A very old map", store::now() + 600_000).await?;
    println!("The auction is at http://{}/?id={id}", listener.local_addr()?);
    println!("The auctioneer's password is {password}");
    let closing = tokio::spawn(room::close_when_due(store.clone(), endpoint.clone()));
    let app = app(&endpoint, store, password)?;
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    closing.abort();
    Ok(())
}

fn app(endpoint: &Endpoint, store: Store, password: String) -> Result<Router, MountError> {
    let socket = bennu::socket::<UserSocket>("/socket").with_state(store).auth_token(true).router(endpoint)?;
    Ok(Router::new()
        .route("/sign_in", post(sign_in))
        .route("/auctions/{id}/announce", post(announce))
        .with_state(Web { endpoint: endpoint.clone(), password })
        .merge(socket)
        .fallback_service(ServeDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"))))
}

#[derive(Clone)]
struct Web {
    endpoint: Endpoint,
    password: String,
}

#[derive(Deserialize)]
struct SignIn {
    name: String,
    password: String,
}

/// Returns a token. Anybody may bid under any name; the password makes the user the auctioneer.
async fn sign_in(State(web): State<Web>, Json(SignIn { name, password }): Json<SignIn>) -> Result<String, StatusCode> {
    let is_auctioneer = !password.is_empty();
    if name.is_empty() || is_auctioneer && password != web.password {
        return Err(StatusCode::FORBIDDEN);
    }
    web.endpoint.sign(SALT, &User { name, is_auctioneer }).map_err(failed)
}

/// Broadcasts the request's body in a room, for an auctioneer's token.
async fn announce(
    State(web): State<Web>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    text: String,
) -> Result<(), StatusCode> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match web.endpoint.verify(SALT, token.unwrap_or_default(), Token::ONE_DAY) {
        Ok(User { is_auctioneer: true, .. }) => {
            web.endpoint.broadcast(&format!("auction:{id}"), "announced", json!({ "text": text })).map_err(failed)
        }
        _ => Err(StatusCode::FORBIDDEN),
    }
}

fn failed(error: impl Display) -> StatusCode {
    tracing::error!(%error, "a request failed");
    StatusCode::INTERNAL_SERVER_ERROR
}
