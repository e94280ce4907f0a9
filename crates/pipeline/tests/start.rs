//! What cannot work is refused when a stage starts.

use bennu_pipeline::{Buffer, Demand, Output, Pipeline, StartError};

fn start(pipeline: &mut Pipeline, output: &Output<u32>, demand: Demand) -> Result<(), StartError> {
    pipeline.workers("work").subscribe(output, demand).start(|_item: u32| async {})
}

#[tokio::test]
async fn a_demand_that_never_asks_is_refused() {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("queue").start().unwrap();
    for (max, min) in [(0, 0), (5, 5), (5, 6)] {
        let refused = start(&mut pipeline, &queue, Demand::max(max).min(min)).unwrap_err();
        assert_eq!(refused, StartError::Demand { stage: "work", max, min });
        let text = format!("stage work: min_demand is {min}, it must be less than max_demand, which is {max}");
        assert_eq!(refused.to_string(), text);
    }
    start(&mut pipeline, &queue, Demand::max(1)).unwrap();
}

#[tokio::test]
async fn a_stage_that_takes_from_nowhere_is_refused() {
    let refused = Pipeline::new().consumer("lost").start(|_items: Vec<u32>| async {}).unwrap_err();
    assert_eq!(refused, StartError::NoSubscription { stage: "lost" });
}

#[tokio::test]
async fn partitions_are_named_and_there() {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("parts").partition(2, |item: &u32| u64::from(*item)).start().unwrap();
    let not_named = StartError::PartitionNotNamed { stage: "work", of: "parts", partitions: 2 };
    assert_eq!(start(&mut pipeline, &queue, Demand::default()), Err(not_named));
    let missing = StartError::NoSuchPartition { stage: "work", of: "parts", partition: 2, partitions: 2 };
    assert_eq!(start(&mut pipeline, &queue.partition(2), Demand::default()), Err(missing));
    start(&mut pipeline, &queue.partition(1), Demand::default()).unwrap();
}

#[tokio::test]
async fn partitions_need_a_number_and_room() {
    let mut pipeline = Pipeline::new();
    let none = pipeline.queue("parts").partition(0, |_: &u32| 0).start();
    assert_eq!(none.unwrap_err(), StartError::NoPartitions { stage: "parts" });
    let tight = pipeline.queue("parts").buffer(Buffer::keep_last(0)).partition(2, |_: &u32| 0).start();
    assert_eq!(tight.unwrap_err(), StartError::NoBuffer { stage: "parts" });
}
