//! `/socket`: everybody may connect, and nobody has a name.

use bennu_testkit::prelude::*;
use hello_sockets::UserSocket;

#[tokio::test]
async fn it_can_be_connected_to_without_parameters() {
    assert!(ChannelTest::new().connect::<UserSocket>(json!({})).await.is_ok());
}

#[tokio::test]
async fn its_clients_have_no_id() {
    let socket = ChannelTest::new().connect::<UserSocket>(json!({})).await.unwrap();
    assert_eq!(socket.id(), None);
}
