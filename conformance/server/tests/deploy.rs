//! A rolling restart of three nodes behind nginx: every client rejoins, and no presence is absent for long.

use bennu_bench_deploy::{Plan, run};
use std::path::Path;
use std::time::Duration;

/// The documented limit, and a margin for a busy machine.
const MAX_ABSENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_restart_every_client_is_joined_again_and_lists_all_presences() {
    let plan = Plan {
        server: env!("CARGO_BIN_EXE_conformance-server").into(),
        clients: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients"),
        websocket: 250,
        long_poll: 25,
        official: 25,
    };
    let report = run(&plan).await.unwrap();
    assert_eq!((report.clients, report.restarts.len()), (300, 3));
    assert!(report.joins.count > 0, "no client had to rejoin");
    assert!(report.absences.longest < MAX_ABSENCE, "{report}");
}
