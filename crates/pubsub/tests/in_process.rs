//! The in-process adapter under the suite of all adapters, and the laws of one node's topic table.

use bennu_pubsub::{InProcess, Lagged, Message, NodeName, PubSub, Subscription, conformance};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Note(u32);

impl Message for Note {
    const KIND: &'static str = "note";
}

#[tokio::test]
async fn the_in_process_adapter_keeps_every_law() {
    let cluster = InProcess::cluster();
    let (a, b) = (PubSub::new(cluster.join(NodeName::new("a"))), PubSub::new(cluster.join(NodeName::new("b"))));
    conformance::check(&a, &b).await;
    conformance::check_membership(&a, &b, || async { PubSub::new(cluster.join(NodeName::new("c"))) }).await;
}

#[test]
fn a_local_node_is_nonode_at_nohost_and_reaches_itself_by_name() {
    let pubsub = PubSub::local();
    assert_eq!(pubsub.nodes(), [NodeName::default()]);
    let mut notes = pubsub.subscribe::<Note>("t");
    pubsub.direct_broadcast(&NodeName::new("nonode@nohost"), "t", Note(1)).unwrap();
    assert_eq!(*notes.try_recv().unwrap().unwrap(), Note(1));
}

#[test]
fn a_node_that_is_dropped_leaves_the_cluster() {
    let cluster = InProcess::cluster();
    let a = PubSub::new(cluster.join(NodeName::new("a")));
    let b = PubSub::new(cluster.join(NodeName::new("b")));
    drop(b);
    assert_eq!(a.nodes(), [NodeName::new("a")]);
}

#[test]
fn a_filtered_broadcast_reaches_subscribers_by_their_metadata() {
    let pubsub = PubSub::local();
    let mut admin = pubsub.subscribe_with::<Note>("t", "admin");
    let mut guest = pubsub.subscribe_with::<Note>("t", "guest");
    let mut plain = pubsub.subscribe::<Note>("t");
    assert_eq!(pubsub.local_broadcast_where("t", Note(1), |role: &&str| *role == "admin"), 1);
    assert_eq!(*admin.try_recv().unwrap().unwrap(), Note(1));
    assert!(guest.try_recv().is_none() && plain.try_recv().is_none());
}

#[test]
fn a_subscriber_that_falls_behind_loses_the_oldest_and_receives_their_number() {
    let pubsub = PubSub::local();
    let mut notes = pubsub.subscribe::<Note>("t");
    let capacity = Subscription::<Note>::CAPACITY;
    for n in 0..capacity as u32 + 3 {
        pubsub.broadcast("t", Note(n)).unwrap();
    }
    assert_eq!(notes.try_recv().unwrap(), Err(Lagged { lost: 3, capacity }));
    assert_eq!(*notes.try_recv().unwrap().unwrap(), Note(3));
}

#[test]
fn a_topic_without_subscribers_is_removed() {
    let pubsub = PubSub::local();
    let subscriptions: Vec<_> = (0..100).map(|n| pubsub.subscribe::<Note>(&format!("t:{n}"))).collect();
    assert_eq!(pubsub.topic_count(), 100);
    drop(subscriptions);
    assert_eq!(pubsub.topic_count(), 0);
}

#[test]
fn a_message_travels_between_nodes_as_json_under_its_kind() {
    let publication = bennu_pubsub::Publication::new(std::sync::Arc::new(Note(7)));
    let mut json = Vec::new();
    publication.write_json(&mut json).unwrap();
    assert_eq!((publication.kind(), &json[..]), ("note", &b"7"[..]));
}
