//! src/main.rs: the application's state, its socket, and the server.

mod room;

use bennu::prelude::*;
use room::RoomChannel;
use sqlx::SqlitePool;

/// The state that every part of the application shares.
#[derive(Clone)]
pub struct App {
    pub db: SqlitePool,
}

struct UserSocket;

impl Socket for UserSocket {
    type State = App;

    async fn connect(_request: Connect<App>) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("room:{name}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let endpoint = Endpoint::new(Secret::from_env("SECRET_KEY_BASE")?);
    let db = SqlitePool::connect("sqlite:chat.db?mode=rwc").await?;
    sqlx::raw_sql(room::SCHEMA).execute(&db).await?;
    let socket = bennu::socket::<UserSocket>("/socket").with_state(App { db });
    let app = axum::Router::new().merge(socket.router(&endpoint)?);
    let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    Ok(())
}
