//! A signal that interrupts the wait for a server does not end it: the server ends in order, and removes its shared
//! memory. Without that, a test with children of its own would kill its server, since the end of each child is a signal.

use rustix::process::{Signal, getpid, kill_process};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_postgres::Postgres;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let postgres = match Postgres::start().await {
        Ok(postgres) => postgres,
        Err(missing) => return eprintln!("SKIPPED signals: {missing}"),
    };
    let state = std::fs::read_to_string(postgres.directory().join("data/postmaster.pid")).unwrap();
    let segment = state.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).unwrap();
    assert!(has_segment(segment));
    // A signal with a handler interrupts the system calls of the main thread.
    let _handler = signal(SignalKind::user_defined1()).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let signals = std::thread::spawn({
        let is_over = is_over.clone();
        move || {
            while !is_over.load(Ordering::Relaxed) {
                kill_process(getpid(), Signal::USR1).unwrap();
                std::thread::yield_now();
            }
        }
    });
    drop(postgres);
    is_over.store(true, Ordering::Relaxed);
    signals.join().unwrap();
    assert!(!has_segment(segment), "the server was killed");
    println!("the server ended in order");
}

fn has_segment(segment: &str) -> bool {
    let output = Command::new("ipcs").arg("-m").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().any(|line| line.split_whitespace().nth(1) == Some(segment))
}
