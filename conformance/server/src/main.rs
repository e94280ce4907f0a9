//! The conformance server, a fixture with exactly the mounts and channels that `conformance/README.md` lists.
//!
//! `conformance/compare.mjs` plays the recordings of real Phoenix against it; the clients' tests and the benchmark use
//! it too. It is not an example: some of its channels crash on purpose.
//!
//! `conformance-server [ADDRESS:]PORT` listens on 127.0.0.1 without an ADDRESS. `RUST_LOG` enables logs on standard
//! error. With `NODE` and `CLUSTER=redis://…` it is a node of a cluster. `CONFORMANCE_INSTRUMENTS=1` installs
//! exporters, for the benchmark of the instruments' cost.

mod channel;
mod http;
mod socket;

use bennu::pubsub::{NodeName, PubSub};
use bennu::token::Secret;
use bennu::{CheckOrigin, Endpoint, LongPoll};
use bennu_pubsub_redis::Redis;
use bennu_telemetry::{Exporters, Telemetry};
use socket::{AuthSocket, AuthTokenSocket, CrashingSocket, RefusingSocket, StoppingSocket, UserSocket};
use std::env;
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A channel server allocates and frees many small objects of few sizes. glibc keeps their pages; jemalloc returns them
/// to the operating system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The secret of the tokens in `recorded/tokens.json`.
const SECRET: &str = "conformance-secret-conformance-secret-conformance-secret-conformance-secret-";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    // Some channels panic on purpose, and Bennu logs it. Printing a backtrace takes longer than the clients' pauses
    // between two messages.
    std::panic::set_hook(Box::new(|_| {}));
    let argument = std::env::args().nth(1).ok_or("usage: conformance-server [ADDRESS:]PORT")?;
    let address: SocketAddr = match argument.parse::<u16>() {
        Ok(port) => ([127, 0, 0, 1], port).into(),
        Err(_) => argument.parse()?,
    };
    let instruments = Instruments::install()?;
    let endpoint = Endpoint::builder(Secret::new(SECRET)?).pubsub(pubsub()?).build();
    endpoint.presence();
    let listener = bennu::bind(address)?;
    println!("conformance server at http://{}", listener.local_addr()?);
    let app = app(&endpoint)?.merge(instruments.router());
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    Ok(())
}

/// The exporters of the benchmark: StatsD to a socket without a reader, whose datagrams the kernel drops, and
/// Prometheus at `/metrics`. Kept for as long as the server runs.
struct Instruments {
    exporters: Option<Exporters>,
    _statsd: UdpSocket,
}

impl Instruments {
    /// Installs the exporters if `CONFORMANCE_INSTRUMENTS` is set.
    fn install() -> Result<Self, Box<dyn Error>> {
        let statsd = UdpSocket::bind("127.0.0.1:0")?;
        let exporters = match env::var_os("CONFORMANCE_INSTRUMENTS") {
            Some(_) => Some(Telemetry::new().statsd(&statsd.local_addr()?.to_string())?.prometheus().install()?),
            None => None,
        };
        Ok(Instruments { exporters, _statsd: statsd })
    }

    fn router(&self) -> axum::Router {
        self.exporters.as_ref().map(Exporters::metrics_router).unwrap_or_default()
    }
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
