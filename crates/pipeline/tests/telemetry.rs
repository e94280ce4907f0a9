//! The instruments of stages. A process has one recorder, so there is one test.

use bennu_pipeline::{Buffer, Demand, HandlerError, Pipeline, handled};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Returns all instruments as `stage name value`. A snapshot resets them: the next begins at zero.
fn instruments(snapshotter: &Snapshotter) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().collect();
        assert_eq!((labels.len(), labels[0].key()), (1, "stage"));
        let stage = labels[0].value();
        let name = key.key().name().strip_prefix("bennu.pipeline.").expect("all have one prefix");
        lines.push(match value {
            DebugValue::Counter(count) => format!("{stage} {name} {count}"),
            DebugValue::Gauge(gauge) => format!("{stage} {name} {gauge}"),
            DebugValue::Histogram(values) => {
                assert_eq!(key.kind(), MetricKind::Histogram);
                let seconds: Vec<String> = values.iter().map(|value| value.to_string()).collect();
                format!("{stage} {name} [{}]", seconds.join(", "))
            }
        });
    }
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn each_stage_reports_its_instruments() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().expect("no other recorder");

    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("queue").buffer(Buffer::keep_last(3)).start().unwrap();
    let work = |item: u32| async move {
        sleep(SECOND).await;
        if item == 1 { Err(HandlerError::new("never")) } else { handled() }
    };
    pipeline.workers("work").subscribe(&queue, Demand::max(2).min(1)).transient(1).start(work).unwrap();
    for item in 0..7 {
        queue.force_push(item).unwrap();
    }
    sleep(SECOND / 2).await;
    assert_eq!(
        instruments(&snapshotter),
        [
            "queue demand 0",
            "queue dropped 2",
            "queue emitted 7",
            "queue queued 3",
            "work crashes 0",
            "work in_flight 2",
            "work lost 0",
            "work restarts 0",
            "work time_in_stage []",
        ]
    );

    pipeline.drain(SECOND * 10).await.unwrap();
    let mut lines = instruments(&snapshotter);
    // One was tried twice. The order in which they end is not defined.
    let mut seconds: Vec<String> = lines.pop().into_iter().flat_map(|line| digits(&line)).collect();
    seconds.sort_unstable();
    assert_eq!(seconds, ["1", "1", "1", "1", "2"]);
    let ended = ["work crashes 2", "work in_flight -2", "work lost 1", "work restarts 1"];
    assert_eq!(lines[3..], [&["queue queued 0"], &ended[..]].concat());
}

fn digits(line: &str) -> Vec<String> {
    line.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
