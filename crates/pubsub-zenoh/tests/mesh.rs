//! The adapter between nodes of one process: the suite of all adapters, and how nodes find each other.

mod support;

use bennu_pubsub::{ConnectError, Envelope, Header, NodeEvent, NodeName, PubSub};
use bennu_pubsub_cluster::conformance::log::Log;
use bennu_pubsub_cluster::conformance::node::{Note, eventually, joined, left, next, next_event};
use bennu_pubsub_cluster::conformance::process::free_port;
use bennu_pubsub_zenoh::Zenoh;
use std::net::TcpListener;
use support::{Mesh, node};

bennu_pubsub_cluster::common_suite!(Mesh);

#[tokio::test]
async fn one_named_node_is_enough_to_find_all_and_is_not_needed_afterwards() {
    let (port, named) = (free_port(), free_port());
    let first = node("first", named, &[]);
    let others = [node("a", port, &[named]), node("b", free_port(), &[named]), node("c", free_port(), &[named])];
    for other in &others {
        other.knows(4).await;
    }
    first.leave().await;
    let mut notes = others[2].subscribe::<Note>("t");
    for other in &others {
        other.knows(3).await;
    }
    others[0].reaches("t", &mut notes).await;
    let late = node("late", free_port(), &[port]);
    late.knows(4).await;
    others[1].knows(4).await;
}

#[tokio::test]
async fn nodes_that_name_nobody_are_connected_at_run_time() {
    let ports = [free_port(), free_port()];
    let (a, b) = (node("a", ports[0], &[]), node("b", ports[1], &[]));
    let mut events = a.node_events();
    eventually("both listen", || a.is_connected() && b.is_connected()).await;
    assert_eq!((a.nodes().len(), b.nodes().len()), (1, 1));
    a.connect(&format!("127.0.0.1:{}", ports[1])).unwrap();
    assert_eq!(next_event(&mut events).await, joined("b"));
    b.knows(2).await;
    let mut notes = a.subscribe::<Note>("t");
    b.reaches("t", &mut notes).await;
    let error = a.connect("127.0.0.1:many").unwrap_err();
    assert!(matches!(error, ConnectError::Address { .. }), "{error:?}");
}

#[tokio::test]
async fn nodes_may_name_each_other_and_themselves() {
    let ports = [free_port(), free_port(), free_port()];
    let nodes = [node("a", ports[0], &ports), node("b", ports[1], &ports), node("c", ports[2], &ports)];
    for node in &nodes {
        node.knows(3).await;
        eventually("each named address is reached, or is the node's own", || node.is_connected()).await;
    }
    let mut notes = nodes[0].subscribe::<Note>("t");
    nodes[1].reaches("t", &mut notes).await;
    nodes[2].broadcast("t", Note::new(7)).unwrap();
    assert_eq!(next(&mut notes).await, 7, "a message comes once");
    nodes[2].broadcast("t", Note::new(8)).unwrap();
    assert_eq!(next(&mut notes).await, 8, "a message comes once");
}

#[tokio::test]
async fn a_node_that_starts_before_the_one_it_names_is_told_once_and_joins_when_it_can() {
    let log = Log::capture();
    let ports = [free_port(), free_port()];
    let a = node("a", ports[0], &[ports[1]]);
    let still = || log.lines(&["DEBUG", "still out of reach", "node=a"]).len();
    eventually("several attempts fail", || still() >= 3).await;
    assert!(!a.is_connected());
    a.broadcast("t", Note::new(1)).expect("nobody there is no error of the publisher's");
    let b = node("b", ports[1], &[]);
    a.knows(2).await;
    b.knows(2).await;
    eventually("it is in reach", || a.is_connected()).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 1, "{:#?}", log.lines(&[]));
    assert_eq!(log.lines(&["INFO", "a node is in reach", "node=a"]).len(), 1, "{:#?}", log.lines(&[]));
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_reported_once_and_listened_at_when_it_is_free() {
    let log = Log::capture();
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let a = node("a", port, &[]);
    eventually("several attempts fail", || log.lines(&["DEBUG", "still cannot listen", "node=a"]).len() >= 2).await;
    assert!(!a.is_connected());
    drop(taken);
    let b = node("b", free_port(), &[port]);
    b.knows(2).await;
    assert_eq!(log.lines(&["ERROR", "node=a"]).len(), 1, "{:#?}", log.lines(&[]));
}

#[tokio::test]
async fn another_node_of_the_same_name_is_reported() {
    let log = Log::capture();
    let port = free_port();
    let (a, other) = (node("a", port, &[]), node("a", free_port(), &[port]));
    eventually("both say so", || log.lines(&["ERROR", "another node has this node's name"]).len() == 2).await;
    assert_eq!([a.nodes(), other.nodes()], [[NodeName::new("a")], [NodeName::new("a")]]);
}

#[tokio::test]
async fn something_else_that_listens_there_is_no_node() {
    let log = Log::capture();
    let port = free_port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let a = node("a", free_port(), &[port]);
    eventually("it is reported", || log.lines(&["ERROR", "a node is out of reach", "node=a"]).len() == 1).await;
    assert!(!a.is_connected());
}

/// A program that is connected and no node.
async fn stranger(port: u16) -> zenoh::Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("connect/endpoints", &format!("[\"tcp/127.0.0.1:{port}\"]")).unwrap();
    config.insert_json5("listen/endpoints", "[]").unwrap();
    config.insert_json5("scouting/multicast/enabled", "false").unwrap();
    zenoh::open(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_publishes_sends_at_once_while_all_that_are_connected_are_nodes_that_keep_up() {
    let port = free_port();
    let (a, b) = (node("a", port, &[]), node("b", free_port(), &[port]));
    b.knows(2).await;
    let mut notes = b.subscribe::<Note>("t");
    a.reaches("t", &mut notes).await;
    let is_sent_at_once = || {
        let before = a.counter("bennu.pubsub.published", &[]);
        a.broadcast("t", Note::new(1)).unwrap();
        a.counter("bennu.pubsub.published", &[]) == before + 1
    };
    // The adapter's thread may be as quick once, and not so often.
    let all_are = || (0..500).all(|_| is_sent_at_once());
    eventually("five hundred in a row are sent when that returns", all_are).await;
    // Nobody knows what it takes and when.
    let stranger = stranger(port).await;
    eventually("some wait for the adapter's thread", || !all_are()).await;
    stranger.close().await.unwrap();
    eventually("five hundred in a row are sent when that returns", all_are).await;
}

/// What a foreign program puts on the cluster's keys, and what a next version of this one would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_counted_and_dropped_and_a_later_version_is_read() {
    let port = free_port();
    let a = node("a", port, &[]);
    let mut notes = a.subscribe::<Note>("t");
    let framed = |frame: &[u8]| [&u32::try_from(frame.len()).unwrap().to_be_bytes(), frame].concat();
    let stranger = stranger(port).await;
    let garbage = || a.counter("bennu.pubsub.garbage", &[]);

    let envelope = |topic, kind, json: &'static str| {
        Envelope { header: Header { from: "x", to: None, topic, kind }, json: json.as_bytes() }.encode().unwrap()
    };
    let later = envelope("t", "bennu.conformance.note", r#"{"n":7,"colour":"red"}"#);
    eventually("the stranger is connected", || {
        use zenoh::Wait;
        stranger.put("bennu/bennu/t/t", framed(&later)).wait().unwrap();
        notes.try_recv().is_some_and(|note| note.is_ok_and(|note| note.n == 7))
    })
    .await;
    let not_framed = framed(&later)[1..].to_vec();
    let known = envelope("", "bennu.node.known", r#"{"addresses":"all"}"#);
    let frames: [(&str, &[u8]); 7] = [
        ("t/t", &not_framed),
        ("t/t", &framed(b"")),
        ("t/t", &framed(b"\x02what this is, version 1 cannot know")),
        ("n/a", &framed(b"\x01\xFF\xFF")),
        ("c", &[0xFF; 300]),
        ("c", &later),
        ("c", &known),
    ];
    for (key, frame) in frames {
        stranger.put(format!("bennu/bennu/{key}"), frame).await.unwrap();
    }
    let _tokens = [
        stranger.liveliness().declare_token("bennu/bennu/l/nobody").await.unwrap(),
        stranger.liveliness().declare_token("bennu/bennu/l/x/no-number/h:1").await.unwrap(),
    ];
    eventually("all nine are counted", || garbage() == 9).await;
    let mut events = a.node_events();
    let token = stranger.liveliness().declare_token("bennu/bennu/l/x/1f/=/of-a-later-version").await.unwrap();
    assert_eq!(next_event(&mut events).await, joined("x"));
    token.undeclare().await.unwrap();
    assert_eq!(next_event(&mut events).await, left("x"));
    assert_eq!(garbage(), 9);
}

#[test]
fn a_node_needs_no_runtime_of_many_threads_and_none_that_goes_on() {
    let port = free_port();
    let zenoh = |port, named: &[u16]| Zenoh::new(&support::url(port, named)).unwrap();
    let a = PubSub::new(zenoh(port, &[]).join(NodeName::new("a")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut events = a.node_events();
    let event = runtime.block_on(async {
        let b = PubSub::new(zenoh(free_port(), &[port]).join(NodeName::new("b")));
        let joined = next_event(&mut events).await;
        drop(b);
        [joined, next_event(&mut events).await]
    });
    assert_eq!(event, [NodeEvent::joined(&NodeName::new("b")), NodeEvent::left(&NodeName::new("b"))]);
}
