//! src/main.rs: a socket with verified users, a page, and announcements.

mod room;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use bennu::prelude::*;
use bennu::token::TokenError;
use room::{Announcement, RoomChannel};
use serde::Deserialize;
use tower_http::services::ServeFile;

/// The purpose of our tokens: a token made for another purpose is not accepted here.
const SALT: &str = "user socket";

/// The data that all channels of a connection share: the user's name.
pub struct UserSocket {
    pub name: String,
}

impl Socket for UserSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.verify(SALT, request.auth_token()?, Token::ONE_DAY) {
            Ok(name) => Ok(UserSocket { name }),
            Err(TokenError::Expired { .. }) => Err(Refusal::stop("your session has expired, please reload")),
            Err(error) => Err(error.into()),
        }
    }

    fn id(&self) -> Option<String> {
        Some(format!("user_socket:{}", self.name))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("room:{name}");
    }
}

#[derive(Deserialize)]
struct Visitor {
    name: String,
}

/// In place of a login: every visitor of `/?name=Blue` is Blue.
async fn page(State(endpoint): State<Endpoint>, Query(visitor): Query<Visitor>) -> Result<Html<String>, StatusCode> {
    let token = endpoint.sign(SALT, &visitor.name).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Html(include_str!("page.html").replace("TOKEN", &token)))
}

/// Announces the request's body in every room. A real application authenticates the caller first.
async fn announce(State(endpoint): State<Endpoint>, text: String) -> Result<(), StatusCode> {
    let announced = endpoint.pubsub().broadcast("announcements", Announcement { text });
    announced.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let endpoint = Endpoint::new(Secret::from_env("SECRET_KEY_BASE")?);
    let app = Router::new()
        .route("/", get(page))
        .route("/announce", post(announce))
        .with_state(endpoint.clone())
        .route_service("/phoenix.mjs", ServeFile::new("node_modules/phoenix/priv/static/phoenix.mjs"))
        .merge(bennu::socket::<UserSocket>("/socket").auth_token(true).router(&endpoint)?);
    let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    Ok(())
}
