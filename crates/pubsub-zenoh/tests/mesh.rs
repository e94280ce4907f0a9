//! The adapter between nodes of one process: the suite of all adapters, and discovery.

mod support;

use bennu_pubsub::{ClusterError, Envelope, Header, NodeEvent, NodeName, PubSub};
use bennu_pubsub_cluster::conformance::log::CapturedLog;
use bennu_pubsub_cluster::conformance::node::{Note, eventually, joined, left, next, next_event};
use bennu_pubsub_cluster::conformance::process::free_port;
use bennu_pubsub_zenoh::Zenoh;
use std::net::TcpListener;
use support::{Mesh, node};

bennu_pubsub_cluster::common_suite!(Mesh);

#[tokio::test]
async fn one_configured_node_is_enough_to_find_all_and_is_not_needed_afterwards() {
    let (port, configured) = (free_port(), free_port());
    let first = node("first", configured, &[]);
    let others =
        [node("a", port, &[configured]), node("b", free_port(), &[configured]), node("c", free_port(), &[configured])];
    for other in &others {
        other.wait_for_nodes(4).await;
    }
    first.leave().await;
    let mut notes = others[2].subscribe::<Note>("t");
    for other in &others {
        other.wait_for_nodes(3).await;
    }
    others[0].wait_for_subscription("t", &mut notes).await;
    let late = node("late", free_port(), &[port]);
    late.wait_for_nodes(4).await;
    others[1].wait_for_nodes(4).await;
}

#[tokio::test]
async fn nodes_without_configured_addresses_can_be_connected_at_run_time() {
    let ports = [free_port(), free_port()];
    let (a, b) = (node("a", ports[0], &[]), node("b", ports[1], &[]));
    let mut events = a.node_events();
    eventually("both listen", || a.is_connected() && b.is_connected()).await;
    assert_eq!((a.nodes().len(), b.nodes().len()), (1, 1));
    a.connect(&format!("127.0.0.1:{}", ports[1])).unwrap();
    assert_eq!(next_event(&mut events).await, joined("b"));
    b.wait_for_nodes(2).await;
    let mut notes = a.subscribe::<Note>("t");
    b.wait_for_subscription("t", &mut notes).await;
    let error = a.connect("127.0.0.1:many").unwrap_err();
    assert!(matches!(error, ClusterError::Address { .. }), "{error:?}");
}

#[tokio::test]
async fn nodes_may_be_configured_with_each_other_and_with_themselves() {
    let ports = [free_port(), free_port(), free_port()];
    let nodes = [node("a", ports[0], &ports), node("b", ports[1], &ports), node("c", ports[2], &ports)];
    for node in &nodes {
        node.wait_for_nodes(3).await;
        eventually("each configured address is reached or the node's own", || node.is_connected()).await;
    }
    let mut notes = nodes[0].subscribe::<Note>("t");
    nodes[1].wait_for_subscription("t", &mut notes).await;
    nodes[2].broadcast("t", Note::new(7)).unwrap();
    assert_eq!(next(&mut notes).await, 7, "a message arrives once");
    nodes[2].broadcast("t", Note::new(8)).unwrap();
    assert_eq!(next(&mut notes).await, 8, "a message arrives once");
}

#[tokio::test]
async fn a_node_that_starts_before_its_configured_node_reports_it_once_and_joins_later() {
    let log = CapturedLog::capture();
    let ports = [free_port(), free_port()];
    let a = node("a", ports[0], &[ports[1]]);
    let still = || log.lines(&["DEBUG", "still out of reach", "node=a"]).len();
    eventually("several attempts fail", || still() >= 3).await;
    assert!(!a.is_connected());
    a.broadcast("t", Note::new(1)).expect("a node out of reach is not an error of the publisher");
    let b = node("b", ports[1], &[]);
    a.wait_for_nodes(2).await;
    b.wait_for_nodes(2).await;
    eventually("it is in reach", || a.is_connected()).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 1, "{:#?}", log.lines(&[]));
    assert_eq!(log.lines(&["INFO", "a node is in reach", "node=a"]).len(), 1, "{:#?}", log.lines(&[]));
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

#[tokio::test]
async fn an_address_in_use_is_reported_once_and_used_when_it_is_free() {
    let log = CapturedLog::capture();
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let a = node("a", port, &[]);
    eventually("several attempts fail", || log.lines(&["DEBUG", "still cannot listen", "node=a"]).len() >= 2).await;
    assert!(!a.is_connected());
    drop(listener);
    let b = node("b", free_port(), &[port]);
    b.wait_for_nodes(2).await;
    assert_eq!(log.lines(&["ERROR", "node=a"]).len(), 1, "{:#?}", log.lines(&[]));
}

#[tokio::test]
async fn another_node_of_the_same_name_is_reported() {
    let log = CapturedLog::capture();
    let port = free_port();
    let (a, other) = (node("a", port, &[]), node("a", free_port(), &[port]));
    eventually("both nodes report it", || log.lines(&["ERROR", "another node has this node's name"]).len() == 2).await;
    assert_eq!([a.nodes(), other.nodes()], [[NodeName::new("a")], [NodeName::new("a")]]);
}

#[tokio::test]
async fn a_server_of_another_protocol_is_reported() {
    let log = CapturedLog::capture();
    let port = free_port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let a = node("a", free_port(), &[port]);
    eventually("it is reported", || log.lines(&["ERROR", "a node is out of reach", "node=a"]).len() == 1).await;
    assert!(!a.is_connected());
}

/// Opens a connected session that is not a node.
async fn foreign_session(port: u16) -> zenoh::Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("connect/endpoints", &format!("[\"tcp/127.0.0.1:{port}\"]")).unwrap();
    config.insert_json5("listen/endpoints", "[]").unwrap();
    config.insert_json5("scouting/multicast/enabled", "false").unwrap();
    zenoh::open(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_sends_at_once_while_all_connected_sessions_are_nodes_that_acknowledge() {
    let port = free_port();
    let (a, b) = (node("a", port, &[]), node("b", free_port(), &[port]));
    b.wait_for_nodes(2).await;
    let mut notes = b.subscribe::<Note>("t");
    a.wait_for_subscription("t", &mut notes).await;
    let is_sent_at_once = || {
        let before = a.counter("bennu.pubsub.published", &[]);
        a.broadcast("t", Note::new(1)).unwrap();
        a.counter("bennu.pubsub.published", &[]) == before + 1
    };
    // The adapter's thread may be as fast once, but not five hundred times.
    let all_are = || (0..500).all(|_| is_sent_at_once());
    eventually("five hundred in a row are sent when that returns", all_are).await;
    // The session acknowledges no markers.
    let foreign = foreign_session(port).await;
    eventually("some wait for the adapter's thread", || !all_are()).await;
    foreign.close().await.unwrap();
    eventually("five hundred in a row are sent when that returns", all_are).await;
}

/// Payloads of a foreign program on the cluster's keys, and payloads of a later version of this program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_counted_and_dropped_and_a_later_version_is_read() {
    let port = free_port();
    let a = node("a", port, &[]);
    let mut notes = a.subscribe::<Note>("t");
    let framed = |frame: &[u8]| [&u32::try_from(frame.len()).unwrap().to_be_bytes(), frame].concat();
    let foreign = foreign_session(port).await;
    let garbage = || a.counter("bennu.pubsub.garbage", &[]);

    let envelope = |topic, kind, json: &'static str| {
        Envelope { header: Header { from: "x", to: None, topic, kind }, json: json.as_bytes() }.encode().unwrap()
    };
    let later = envelope("t", "bennu.conformance.note", r#"{"n":7,"colour":"red"}"#);
    eventually("the foreign session is connected", || {
        use zenoh::Wait;
        foreign.put("bennu/bennu/t/t", framed(&later)).wait().unwrap();
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
        foreign.put(format!("bennu/bennu/{key}"), frame).await.unwrap();
    }
    let _tokens = [
        foreign.liveliness().declare_token("bennu/bennu/l/nobody").await.unwrap(),
        foreign.liveliness().declare_token("bennu/bennu/l/x/no-number/h:1").await.unwrap(),
    ];
    eventually("all nine are counted", || garbage() == 9).await;
    let mut events = a.node_events();
    let token = foreign.liveliness().declare_token("bennu/bennu/l/x/1f/=/of-a-later-version").await.unwrap();
    assert_eq!(next_event(&mut events).await, joined("x"));
    token.undeclare().await.unwrap();
    assert_eq!(next_event(&mut events).await, left("x"));
    assert_eq!(garbage(), 9);
}

#[test]
fn a_node_needs_neither_a_runtime_of_several_threads_nor_one_that_keeps_running() {
    let port = free_port();
    let zenoh = |port, others: &[u16]| Zenoh::new(&support::url(port, others)).unwrap();
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
