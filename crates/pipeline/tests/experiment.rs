//! The experiments of the examples, in virtual time.

#[allow(dead_code, reason = "an example has a main")]
#[path = "../examples/batches.rs"]
mod batches;
#[allow(dead_code, reason = "an example has a main")]
#[path = "../examples/latency.rs"]
mod latency;
#[allow(dead_code, reason = "an example has a main")]
#[path = "../examples/workers.rs"]
mod workers;

use bennu_pipeline::Demand;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn fifty_three_items_through_a_consumer_of_ten_and_five_come_in_batches_of_at_most_five() {
    let batches = batches::batches(53, Demand::max(10).min(5)).await.unwrap();
    assert_eq!(batches.iter().map(Vec::len).max(), Some(5));
    assert_eq!(batches.concat(), (1..=53).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn fifty_items_of_a_second_come_ten_at_a_time() {
    let groups = workers::groups(50, 10, |_, _| {}).await.unwrap();
    for (second, mut numbers) in (1..).zip(groups.values().cloned()) {
        numbers.sort_unstable();
        assert_eq!(numbers, (second * 10 - 9..=second * 10).collect::<Vec<_>>());
    }
    assert_eq!(groups.into_keys().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn latency_grows_with_the_queue_and_shrinks_with_more_workers() {
    for max_demand in [1, 10, 100] {
        let latencies = latency::latencies(500, max_demand).await.unwrap();
        let expected = |index: usize| Duration::from_millis((index / max_demand + 1) as u64);
        for (index, latency) in latencies.into_iter().enumerate() {
            assert_eq!(latency, expected(index), "item {index} of 500, {max_demand} at once");
        }
    }
}
