//! A table as an outbox. What an application wants others to know it writes into the table `outbox`, in the transaction
//! that makes it true; a pipeline delivers the rows, and forgets each only when it was taken. Whatever happens to the
//! process, a power cut or `kill -9`, each row is delivered at least once.
//!
//!     cargo run -p outbox -- receive 127.0.0.1:4100            # prints what arrives, and what arrives again
//!     cargo run -p outbox -- insert outbox.db 1000
//!     cargo run -p outbox -- deliver outbox.db 127.0.0.1:4100  # until its standard input ends; kill it, start it again
//!     cargo run -p outbox -- count outbox.db                   # rows that are not known to be delivered
//!
//! [`outbox`] is the table and its source, [`courier`] delivers a row, [`receiver`] takes it.

mod courier;
mod outbox;
mod receiver;

use bennu_pipeline::{Delivery, Demand, Pipeline, handled};
use courier::Courier;
use outbox::Outbox;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Rows that are under way at once.
const WORKERS: usize = 8;

/// How long rows that are under way may take when the process is asked to end.
const DRAIN: Duration = Duration::from_secs(10);

const USAGE: &str = "usage: outbox insert DB ROWS | deliver DB ADDRESS | count DB | receive ADDRESS";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["insert", database, rows] => Outbox::open(database).await?.insert(rows.parse()?).await?,
        ["count", database] => println!("{}", Outbox::open(database).await?.count().await?),
        ["deliver", database, address] => deliver(Outbox::open(database).await?, address.parse()?).await?,
        ["receive", address] => receiver::run(address.parse()?).await?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// Delivers rows as they come, until the standard input ends.
async fn deliver(outbox: Outbox, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut pipeline = Pipeline::new();
    let rows = pipeline.source("outbox").start(outbox)?;
    let courier = Courier::new(address);
    let work = move |row: Delivery<Outbox>| async move {
        courier.deliver(&row).await?;
        row.ack();
        handled()
    };
    pipeline.workers("deliver").subscribe(&rows, Demand::max(WORKERS)).start(work)?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(pipeline.drain(DRAIN).await?)
}
