//! The ways in which a client of a test connects: by the socket's `connect`, or with a socket that the test provides.

use crate::params::query;
use crate::socket::TestSocket;
use crate::test::ChannelTest;
use crate::transport::{FRAMING, Transport};
use bennu_channels::protocol::Serializer;
use bennu_channels::transport::{Connected, Encoding, Limits, NotConnected, SocketMount};
use bennu_channels::{Connect, ConnectInfo, GivenState, Socket};
use serde_json::Value;
use std::sync::Arc;

/// The defaults, except for an unbounded outbox: a client of a test takes all frames at once and is never too slow.
const LIMITS: Limits = Limits { max_channels: 100, outbox_bytes: usize::MAX, mailbox_bytes: 1 << 20 };

impl<T> ChannelTest<T> {
    /// Connects a client. `params` is encoded as the query of its URL, as `phoenix.js` encodes an object.
    ///
    /// # Errors
    /// [`NotConnected`] when the socket refuses or panics.
    ///
    /// # Panics
    /// When `params` is not an object, or when a pattern of the socket's router is not a valid route.
    pub async fn connect<S: Socket>(&self, params: Value) -> Result<TestSocket<S>, NotConnected>
    where
        T: GivenState<S::State>,
    {
        self.connect_with(params, ConnectInfo::new()).await
    }

    /// Connects a client with the information of a transport: headers, an address, a session.
    ///
    /// # Errors
    /// As [`ChannelTest::connect`].
    ///
    /// # Panics
    /// As [`ChannelTest::connect`].
    pub async fn connect_with<S: Socket>(&self, params: Value, info: ConnectInfo) -> Result<TestSocket<S>, NotConnected>
    where
        T: GivenState<S::State>,
    {
        let request = Connect::new(query(&params), info, self.endpoint().clone());
        let mount = SocketMount::new::<S>(self.endpoint().clone(), self.shared_state().given(), LIMITS);
        let mount = mount.unwrap_or_else(|error| panic!("{error}"));
        Ok(self.open(mount.connect(request).await?))
    }

    /// Connects a client as if `connect` had returned this socket.
    ///
    /// # Panics
    /// When a pattern of the socket's router is not a valid route.
    #[track_caller]
    pub fn socket<S: Socket>(&self, socket: S) -> TestSocket<S>
    where
        T: GivenState<S::State>,
    {
        let connected = Connected::with(socket, self.shared_state().given(), self.endpoint(), LIMITS);
        self.open(connected.unwrap_or_else(|error| panic!("{error}")))
    }

    fn open<S: Socket>(&self, connected: Connected) -> TestSocket<S> {
        let client = self.next_client();
        let id = connected.id().map(str::to_owned);
        let socket = connected.socket::<S>().expect("the mount and the socket have the same type");
        let transport = Arc::new(Transport::new(client, self.arrivals()));
        let encoding = Encoding { serializer: Serializer::V2, framing: &FRAMING };
        let connection = connected.open(encoding, transport.clone());
        transport.attach(&connection);
        self.add_connection(connection.clone());
        TestSocket::new(self.stateless(), client, id, socket, connection)
    }
}
