//! A rolling restart of three nodes behind nginx: everybody comes back, and nobody is missed for long.

use bennu_bench_deploy::{Plan, play};
use std::path::Path;
use std::time::Duration;

/// As the documentation has it, and time for a machine that does something else at the moment.
const AWAY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_restart_every_client_is_joined_again_and_sees_everybody() {
    let plan = Plan {
        server: env!("CARGO_BIN_EXE_conformance-server").into(),
        clients: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients"),
        websocket: 250,
        long_poll: 25,
        official: 25,
    };
    let outcome = play(&plan).await.unwrap();
    assert_eq!((outcome.clients, outcome.restarts.len()), (300, 3));
    assert!(outcome.joins.count > 0, "nobody had to come back");
    assert!(outcome.absences.longest < AWAY, "{outcome}");
}
