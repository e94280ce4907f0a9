//! `bennu-bench-deploy [--server PATH] [--clients N]`: runs a rolling restart of three nodes and prints its figures.
//!
//! Nine in ten clients are Rust clients over WebSocket. Half of the others are Rust clients over long poll, the other
//! half are official JavaScript clients. The default is 3,000 clients.

use bennu_bench_deploy::{Error, Plan, Report, run};
use std::time::Duration;

/// The target for the reply to a join, at the 99th percentile.
const MAX_JOIN: Duration = Duration::from_secs(1);
/// The target for the longest absence: one period of presence, 1.5 s; 1.5 s to reconnect by the client's schedule; and
/// a second for the join.
const MAX_ABSENCE: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (mut server, mut clients) = ("target/release/conformance-server".to_owned(), 3000);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--server" => server = value,
            "--clients" => clients = value.parse()?,
            _ => return Err(format!("{option} is not an option; the options are --server PATH and --clients N").into()),
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
    let report = run(&plan).await?;
    println!("{report}");
    print_targets(&report);
    Ok(())
}

fn print_targets(report: &Report) {
    let result = |met| if met { "met" } else { "not met" };
    println!("99 % of joins within {MAX_JOIN:?}: {}", result(report.joins.p99 <= MAX_JOIN));
    println!("no absence longer than {MAX_ABSENCE:?}: {}", result(report.absences.longest <= MAX_ABSENCE));
}
