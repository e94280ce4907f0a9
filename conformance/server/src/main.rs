//! The fixture that the recordings of real Phoenix are played against: the mounts and channels that
//! `conformance/README.md` lists, and nothing else. Not an example: it does what no application should.
//!
//! `conformance-server [ADDRESS:]PORT`, on 127.0.0.1 unless it is said; logs go to standard error when `RUST_LOG` asks for
//! them. With `NODE` and `CLUSTER=redis://…` it is a node of a cluster.
//! `CONFORMANCE_INSTRUMENTS=1` turns its instruments on, for the benchmark of what they cost.

mod channel;
mod http;
mod instrument;
mod socket;

use bennu::pubsub::{NodeName, PubSub};
use bennu::token::Secret;
use bennu::{CheckOrigin, Endpoint, LongPoll};
use bennu_pubsub_redis::Redis;
use socket::{AuthSocket, AuthTokenSocket, CrashingSocket, RefusingSocket, StoppingSocket, UserSocket};
use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// Many small objects of few sizes that come and go together: glibc keeps their pages, this gives them back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The secret that `recorded/tokens.json` was made with.
const SECRET: &str = "conformance-secret-conformance-secret-conformance-secret-conformance-secret-";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    // It panics on purpose, and Bennu logs it. A backtrace takes longer to print than clients wait between two messages.
    std::panic::set_hook(Box::new(|_| {}));
    let place = std::env::args().nth(1).ok_or("usage: conformance-server [ADDRESS:]PORT")?;
    let address: SocketAddr = match place.parse::<u16>() {
        Ok(port) => ([127, 0, 0, 1], port).into(),
        Err(_) => place.parse()?,
    };
    let instruments = instrument::install()?;
    let endpoint = Endpoint::builder(Secret::new(SECRET)?).pubsub(pubsub()?).build();
    endpoint.presence();
    let listener = bennu::bind(address)?;
    println!("conformance server at http://{}", listener.local_addr()?);
    let app = app(&endpoint)?.merge(instruments.router());
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    Ok(())
}

fn pubsub() -> Result<PubSub, Box<dyn Error>> {
    match (env::var("NODE"), env::var("CLUSTER")) {
        (Ok(node), Ok(cluster)) => Ok(PubSub::new(Redis::new(&cluster)?.join(NodeName::new(node)))),
        _ => Ok(PubSub::local()),
    }
}

fn app(endpoint: &Endpoint) -> Result<axum::Router, Box<dyn Error>> {
    let any = || CheckOrigin::any();
    let user = |path| bennu::socket::<UserSocket>(path).check_origin(any());
    Ok(http::routes(endpoint)
        .merge(user("/socket").longpoll(true).router(endpoint)?)
        .merge(bennu::socket::<AuthSocket>("/auth_socket").check_origin(any()).longpoll(true).router(endpoint)?)
        .merge(
            bennu::socket::<AuthTokenSocket>("/auth_token_socket")
                .check_origin(any())
                .auth_token(true)
                .longpoll(true)
                .router(endpoint)?,
        )
        .merge(
            user("/origin_socket")
                .check_origin(CheckOrigin::list(["//example.com"])?)
                .longpoll(true)
                .router(endpoint)?,
        )
        .merge(
            user("/short_socket")
                .timeout(Duration::from_secs(1))
                .longpoll(LongPoll::default().window(Duration::from_secs(1)))
                .router(endpoint)?,
        )
        .merge(user("/compress_socket").compress(true).router(endpoint)?)
        .merge(user("/small_socket").max_frame_size(1000).router(endpoint)?)
        .merge(user("/subproto_socket").subprotocols(["phoenix", "other"]).router(endpoint)?)
        .merge(
            bennu::socket::<RefusingSocket>("/errconn_socket")
                .check_origin(any())
                .error_handler(|_| (axum::http::StatusCode::TOO_MANY_REQUESTS, "Too many requests"))
                .longpoll(true)
                .router(endpoint)?,
        )
        .merge(bennu::socket::<StoppingSocket>("/stopconn_socket").check_origin(any()).longpoll(true).router(endpoint)?)
        .merge(
            bennu::socket::<CrashingSocket>("/crashconn_socket").check_origin(any()).longpoll(true).router(endpoint)?,
        ))
}
