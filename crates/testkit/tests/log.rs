//! A capture hears what its own thread says, whoever came to the same place in the code first. A program of its own, since
//! what `tracing` remembers of a place is the whole process's.
#![allow(missing_docs)]

use bennu_testkit::prelude::*;

fn said() {
    tracing::info!("said by two");
}

#[test]
fn a_thread_that_captures_nothing_does_not_silence_one_that_does() {
    let log = capture_log();
    std::thread::spawn(said).join().unwrap();
    assert!(log.lines().is_empty());
    said();
    assert_eq!(log.lines(), ["INFO said by two"]);
}
