//! A table as an outbox. An application writes each event into the table `outbox`, in the transaction that also makes the
//! change itself. A pipeline delivers the rows, and deletes each row only after the receiver has acknowledged it. So each row is
//! delivered at least once, even after a power cut or `kill -9`.
//!
//!     cargo run -p outbox -- receive 127.0.0.1:4100            # prints each row, and marks repeated ones
//!     cargo run -p outbox -- insert outbox.db 1000
//!     cargo run -p outbox -- deliver outbox.db 127.0.0.1:4100  # until its standard input ends; kill it and start it again
//!     cargo run -p outbox -- count outbox.db                   # rows that are not acknowledged
//!
//! [`outbox`] is the table and its source, [`sender`] sends a row, [`receiver`] receives it.

mod outbox;
mod receiver;
mod sender;

use bennu_pipeline::{Delivery, Demand, Pipeline, handled};
use outbox::Outbox;
use sender::Sender;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Rows in delivery at once.
const WORKERS: usize = 8;

/// How long the rows in delivery may take when the process ends.
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

/// Delivers rows until the standard input ends.
async fn deliver(outbox: Outbox, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut pipeline = Pipeline::new();
    let rows = pipeline.source("outbox").start(outbox)?;
    let sender = Sender::new(address);
    let work = move |row: Delivery<Outbox>| async move {
        sender.deliver(&row).await?;
        row.ack();
        handled()
    };
    pipeline.workers("deliver").subscribe(&rows, Demand::max(WORKERS)).start(work)?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(pipeline.drain(DRAIN).await?)
}
