//! `bennu-bench-deploy [--server PATH] [--clients N]`: a rolling restart of three nodes, with figures.
//!
//! Of the clients, nine in ten are Rust clients over WebSocket; of the others, half long poll and half are the official
//! client. 3,000 by default.

use bennu_bench_deploy::{Error, Outcome, Plan, play};
use std::time::Duration;

/// A join is answered within this, for 99 of 100.
const JOIN: Duration = Duration::from_secs(1);
/// Nobody is seen to be away for longer: a period of presence, 1.5 s, as long to be connected again by a client's schedule, and
/// a second for the join.
const AWAY: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (mut server, mut clients) = ("target/release/conformance-server".to_owned(), 3000);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--server" => server = value,
            "--clients" => clients = value.parse()?,
            _ => return Err(format!("unknown option {option}; there are --server PATH and --clients N").into()),
        }
    }
    let few = clients / 20;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let plan = Plan {
        server: std::path::absolute(server)?,
        clients: root.join("clients"),
        websocket: clients - 2 * few,
        long_poll: few,
        official: few,
    };
    let outcome = play(&plan).await?;
    println!("{outcome}");
    verdicts(&outcome);
    Ok(())
}

fn verdicts(outcome: &Outcome) {
    let verdict = |met| if met { "met" } else { "not met" };
    println!("99 % of joins within {JOIN:?}: {}", verdict(outcome.joins.p99 <= JOIN));
    println!("nobody away for longer than {AWAY:?}: {}", verdict(outcome.absences.longest <= AWAY));
}
