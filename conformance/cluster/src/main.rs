//! A node of a cluster that executes commands from standard input: the fixture of tests that kill, disconnect and
//! reconnect nodes on networks of their own. Not an example.
//!
//! `cluster-node NAME URL` joins the cluster at the URL. It then executes each line of standard input, and answers with
//! one line of JSON:
//!
//! | line | answer |
//! |---|---|
//! | `track KEY` | `true`, after this node lists the key |
//! | `untrack KEY` | whether the key was tracked |
//! | `list SECONDS KEY...` | the keys of all nodes, sorted: when they equal the given keys, or after the seconds |
//! | `nodes` | the nodes of the cluster, from its adapter |
//! | `leave` | `true`, after the other nodes have been notified; the process ends |

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use bennu_tracker::{Diff, DiffHandler, Options, PresenceGuard, Tracker};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The topic of all presences of the test.
const TOPIC: &str = "topic";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [name, url] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|arguments| format!("usage: cluster-node NAME URL; the arguments are {arguments:?}"))?;
    let pubsub = join(NodeName::new(name), &url)?;
    let changes = Changes::default();
    let tracker = Tracker::start(&pubsub, "cluster", options(), changes.clone())?;
    let mut tracked = HashMap::new();
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Some(command) = commands.next_line().await? {
        let answer = match command.split_once(' ').unwrap_or((&command, "")) {
            ("track", key) => track(&tracker, &mut tracked, key)?,
            ("untrack", key) => json!(tracked.remove(key).is_some()),
            ("list", wanted) => list(&tracker, &changes, wanted).await?,
            ("nodes", _) => pubsub.nodes().iter().map(|node| json!(node.as_str())).collect(),
            ("leave", _) => {
                tracker.leave().await;
                pubsub.leave().await;
                println!("true");
                return Ok(());
            }
            (unknown, _) => {
                return Err(format!("{unknown:?} is not a command: use track, untrack, list, nodes or leave").into());
            }
        };
        println!("{answer}");
    }
    Ok(())
}

/// Short periods, so that a test takes seconds instead of half a minute.
fn options() -> Options {
    Options {
        broadcast_period: Duration::from_millis(100),
        max_silent_periods: 5,
        down_period: Duration::from_secs(2),
        ..Options::default()
    }
}

fn join(node: NodeName, url: &str) -> Result<PubSub, Box<dyn Error>> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("redis") => Ok(PubSub::new(Redis::new(url)?.join(node))),
        Some("zenoh") => Ok(PubSub::new(Zenoh::new(url)?.join(node))),
        Some("nats") => Ok(PubSub::new(Nats::new(url)?.join(node))),
        _ => Err(format!("{url:?} is not a cluster: use a redis://, nats:// or zenoh:// URL").into()),
    }
}

fn track(tracker: &Tracker, tracked: &mut HashMap<String, PresenceGuard>, key: &str) -> Result<Value, Box<dyn Error>> {
    tracked.insert(key.to_owned(), tracker.track(TOPIC, key, &json!({}))?);
    Ok(json!(true))
}

async fn list(tracker: &Tracker, changes: &Changes, wanted: &str) -> Result<Value, Box<dyn Error>> {
    let (seconds, keys) = wanted.split_once(' ').unwrap_or((wanted, ""));
    let wanted: Vec<&str> = keys.split_whitespace().collect();
    let listed = || tracker.list(TOPIC).iter().map(|presence| presence.key().clone()).collect::<Vec<_>>();
    let as_wanted = async {
        while !listed().iter().map(|key| &**key).eq(wanted.iter().copied()) {
            changes.0.notified().await;
        }
    };
    // After the deadline the answer is the current list.
    let _ = timeout(Duration::from_secs(seconds.parse()?), as_wanted).await;
    Ok(listed().iter().map(|key| json!(&**key)).collect())
}

/// Notifies after each change of the list.
#[derive(Clone, Default)]
struct Changes(Arc<Notify>);

impl DiffHandler for Changes {
    async fn handle_diff(&self, _: Diff) {
        self.0.notify_one();
    }
}
