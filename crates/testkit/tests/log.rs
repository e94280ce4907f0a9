//! A capture receives the events of its own thread, whichever thread reached a callsite first. The test is a program of
//! its own because `tracing` caches the interest in a callsite for the whole process.
#![allow(missing_docs)]

use bennu_testkit::prelude::*;

fn log_event() {
    tracing::info!("from two threads");
}

#[test]
fn a_thread_without_a_capture_does_not_disable_the_callsites_of_one_with_a_capture() {
    let log = capture_log();
    std::thread::spawn(log_event).join().unwrap();
    assert!(log.lines().is_empty());
    log_event();
    assert_eq!(log.lines(), ["INFO from two threads"]);
}
