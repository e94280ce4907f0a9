//! The HTTP routes with which the script broadcasts, disconnects sockets, and obtains tokens.

use crate::socket::SALT;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bennu::token::Token;
use bennu::{Endpoint, Payload};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

#[derive(Deserialize)]
struct Target {
    topic: String,
    event: String,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

type Answer = Result<&'static str, (StatusCode, String)>;

pub(crate) fn routes(endpoint: &Endpoint) -> Router {
    Router::new()
        .route("/", get(|| async { "conformance server" }))
        .route("/broadcast", post(broadcast))
        .route("/broadcast_bin", post(broadcast_bin))
        .route("/disconnect", post(disconnect))
        .route("/token", get(|state, id| token(state, id, Duration::ZERO)))
        .route("/token_old", get(|state, id| token(state, id, Duration::from_secs(90_000))))
        .with_state(endpoint.clone())
}

fn failed(error: impl ToString) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn broadcast(State(endpoint): State<Endpoint>, Query(to): Query<Target>, body: String) -> Answer {
    let payload = Payload::from_json_text(&body).map_err(failed)?;
    endpoint.broadcast(&to.topic, &to.event, payload).map_err(failed)?;
    Ok("ok")
}

async fn broadcast_bin(State(endpoint): State<Endpoint>, Query(to): Query<Target>, body: Bytes) -> Answer {
    endpoint.broadcast(&to.topic, &to.event, body).map_err(failed)?;
    Ok("ok")
}

async fn disconnect(State(endpoint): State<Endpoint>, Query(Id { id }): Query<Id>) -> Answer {
    endpoint.disconnect(&id).map_err(failed)?;
    Ok("ok")
}

async fn token(
    State(endpoint): State<Endpoint>,
    Query(Id { id }): Query<Id>,
    age: Duration,
) -> Result<String, (StatusCode, String)> {
    Token::new(endpoint.secret(), SALT).sign_at(&id, SystemTime::now() - age).map_err(failed)
}
