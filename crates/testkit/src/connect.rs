//! How a client of a test connects: through the socket's `connect`, or past it.

use crate::params::query;
use crate::socket::TestSocket;
use crate::test::ChannelTest;
use crate::transport::{FRAMING, Transport};
use bennu_channels::protocol::Serializer;
use bennu_channels::{
    Connect, ConnectInfo, Connected, Encoding, GivenState, Limits, NotConnected, Socket, SocketMount,
};
use serde_json::Value;
use std::sync::Arc;

/// A test's client reads everything at once, so it is never too slow; the rest is as usual.
const LIMITS: Limits = Limits { max_channels: 100, outbox_bytes: usize::MAX, mailbox_bytes: 1 << 20 };

impl<T> ChannelTest<T> {
    /// A client connects, with the parameters of its URL; they are what `phoenix.js` would make of this object.
    ///
    /// # Errors
    /// [`NotConnected`] when the socket refuses or panics.
    ///
    /// # Panics
    /// When `params` is no object, or a pattern of the socket's router cannot be a route.
    pub async fn connect<S: Socket>(&self, params: Value) -> Result<TestSocket<S>, NotConnected>
    where
        T: GivenState<S::State>,
    {
        self.connect_with(params, ConnectInfo::new()).await
    }

    /// A client connects of which the transport knows something: headers, an address, a session.
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

    /// A client that is connected already, as if `connect` had returned this socket.
    ///
    /// # Panics
    /// When a pattern of the socket's router cannot be a route.
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
        let socket = connected.socket::<S>().expect("the mount and the socket are of one type");
        let transport = Arc::new(Transport::new(client, self.mailbox()));
        let encoding = Encoding { serializer: Serializer::V2, framing: &FRAMING };
        let connection = connected.open(encoding, transport.clone());
        transport.attach(&connection);
        self.keep(connection.clone());
        TestSocket::new(self.stateless(), client, id, socket, connection)
    }
}
