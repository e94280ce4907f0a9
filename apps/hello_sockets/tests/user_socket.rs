//! `/socket`: every client may connect, and the socket has no id.

use bennu_testkit::prelude::*;
use hello_sockets::UserSocket;

#[tokio::test]
async fn a_connect_without_parameters_succeeds() {
    assert!(ChannelTest::new().connect::<UserSocket>(json!({})).await.is_ok());
}

#[tokio::test]
async fn the_socket_has_no_id() {
    let socket = ChannelTest::new().connect::<UserSocket>(json!({})).await.unwrap();
    assert_eq!(socket.id(), None);
}
