//! The day of a release in small, as `bench/launch_day` plays it: shoppers hold three channels each, two products are
//! released, more pairs are paid for than there are, and servers are killed in the middle. It needs nginx.

mod support;

use bennu_bench_launch_day::{Broker, DayReport, LaunchDay, Nodes};
use support::skip;
use test_postgres::Postgres;

const SHOPPERS: usize = 120;

/// The buyers want one or two pairs each, of 52.
const BUYERS: usize = 80;
const PAIRS: i64 = 2;

async fn play(nodes: Nodes) -> DayReport {
    let directory = tempfile::Builder::new().prefix("launch-day-").tempdir_in("/tmp").unwrap();
    // PostgreSQL runs as a user of its own when root runs the test.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let day = LaunchDay {
        store: env!("CARGO_BIN_EXE_sneakers_23").into(),
        nodes,
        directory: directory.path().into(),
        shoppers: SHOPPERS,
        buyers: BUYERS,
        pairs: PAIRS,
        kill: true,
    };
    day.run().await.unwrap_or_else(|error| panic!("{error}"))
}

fn assert_good(report: &DayReport) {
    assert!(report.faults.is_empty(), "{report}");
    for (_, seen) in &report.releases {
        assert_eq!(seen.count, SHOPPERS, "every shopper sees each release: {report}");
    }
    let refused: usize = report.sale.refused.values().sum();
    assert_eq!(report.sale.bought + refused, BUYERS, "{report}");
    assert!(report.sale.bought > 0 && refused > 0, "there are fewer pairs than wishes: {report}");
}

#[tokio::test]
async fn one_node_on_sqlite_that_is_killed_sells_each_pair_once() {
    assert_good(&play(Nodes::One).await);
}

#[tokio::test]
async fn two_nodes_sell_each_pair_once_while_one_and_their_database_are_killed() {
    match Postgres::shared().await {
        Ok(_) => assert_good(&play(Nodes::Two(Broker::Zenoh)).await),
        Err(missing) => skip("a launch day on two nodes", &missing),
    }
}
