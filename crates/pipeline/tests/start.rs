//! A stage with contradictory options does not start.

use bennu_pipeline::{Buffer, Demand, Output, Pipeline, StartError};

fn start(pipeline: &mut Pipeline, output: &Output<u32>, demand: Demand) -> Result<(), StartError> {
    pipeline.workers("work").subscribe(output, demand).start(|_item: u32| async {})
}

#[tokio::test]
async fn a_demand_that_never_requests_items_is_an_error() {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("queue").start().unwrap();
    for (max, min) in [(0, 0), (5, 5), (5, 6)] {
        let error = start(&mut pipeline, &queue, Demand::max(max).min(min)).unwrap_err();
        assert_eq!(error, StartError::Demand { stage: "work", max, min });
        let text =
            format!("could not start stage work: min_demand is {min}, it must be less than max_demand, which is {max}");
        assert_eq!(error.to_string(), text);
    }
    start(&mut pipeline, &queue, Demand::max(1)).unwrap();
}

#[tokio::test]
async fn an_input_without_a_subscription_is_an_error() {
    let error = Pipeline::new().consumer("lost").start(|_items: Vec<u32>| async {}).unwrap_err();
    assert_eq!(error, StartError::NoSubscription { stage: "lost" });
}

#[tokio::test]
async fn a_subscription_names_an_existing_partition() {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("parts").partition(2, |item: &u32| u64::from(*item)).start().unwrap();
    let not_named = StartError::PartitionNotNamed { stage: "work", of: "parts", partitions: 2 };
    assert_eq!(start(&mut pipeline, &queue, Demand::default()), Err(not_named));
    let missing = StartError::NoSuchPartition { stage: "work", of: "parts", partition: 2, partitions: 2 };
    assert_eq!(start(&mut pipeline, &queue.partition(2), Demand::default()), Err(missing));
    start(&mut pipeline, &queue.partition(1), Demand::default()).unwrap();
}

#[tokio::test]
async fn partitions_need_a_number_and_a_buffer() {
    let mut pipeline = Pipeline::new();
    let none = pipeline.queue("parts").partition(0, |_: &u32| 0).start();
    assert_eq!(none.unwrap_err(), StartError::NoPartitions { stage: "parts" });
    let tight = pipeline.queue("parts").buffer(Buffer::keep_last(0)).partition(2, |_: &u32| 0).start();
    assert_eq!(tight.unwrap_err(), StartError::NoBuffer { stage: "parts" });
}
