//! `bennu-bench-launch-day`: plays the day of a release with the store and prints its figures. The exit code is 1 when
//! an answer, a page and the database contradict each other.

use bennu_bench_launch_day::{Broker, Error, LaunchDay, Nodes};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "usage: bennu-bench-launch-day [sqlite|redis|zenoh] [--shoppers N] [--buyers N] [--pairs N] [--kill]
                              [--store PATH] [--directory PATH]";

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let Some(day) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    let report = day.run().await?;
    println!("{report}");
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<LaunchDay> {
    let (mut nodes, mut shoppers, mut buyers, mut pairs, mut kill) =
        (Nodes::Two(Broker::Redis), 5000, 2000, None, false);
    let (mut store, mut directory) = (PathBuf::from("target/release/sneakers_23"), PathBuf::from("target/launch-day"));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "sqlite" => nodes = Nodes::One,
            "redis" => nodes = Nodes::Two(Broker::Redis),
            "zenoh" => nodes = Nodes::Two(Broker::Zenoh),
            "--kill" => kill = true,
            "--shoppers" => shoppers = arguments.next()?.parse().ok()?,
            "--buyers" => buyers = arguments.next()?.parse().ok()?,
            "--pairs" => pairs = Some(arguments.next()?.parse().ok()?),
            "--store" => store = arguments.next()?.into(),
            "--directory" => directory = arguments.next()?.into(),
            _ => return None,
        }
    }
    let [store, directory] = [store, directory].map(|path| std::path::absolute(path).ok());
    // For two thirds of the buyers.
    let pairs = pairs.unwrap_or((buyers / 26).max(1) as i64);
    Some(LaunchDay { store: store?, nodes, directory: directory?, shoppers, buyers, pairs, kill })
}
