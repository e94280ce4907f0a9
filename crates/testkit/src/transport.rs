//! The transport of a test, which moves a connection's frames into the test's mailbox.
//!
//! The outbox calls [`Drainer::wake`] on the sender's thread. `wake` takes and decodes the frames at once, so the
//! mailbox has the order of sending across all clients. The outbox holds no lock of its own during `wake`, except for a
//! client that is too slow; the unbounded outbox of [`crate::TestSocket`] excludes that. The caller may hold other
//! locks, so `wake` takes only the locks of the outbox and of the mailbox.

use crate::arrival::Arrival;
use crate::mailbox::Arrivals;
use bennu_channels::protocol::client::{self, Received};
use bennu_channels::protocol::{Frame, FrameKind, Ref};
use bennu_channels::transport::{Connection, Drainer, Framing, Taken};
use bytes::Bytes;
use std::sync::{Arc, OnceLock, Weak};
use tokio::runtime::Handle;

/// One byte for the kind of the frame, then the message.
pub(crate) static FRAMING: Framing = Framing {
    name: "testkit",
    frame: |kind, message| {
        let kind = match kind {
            FrameKind::Text => TEXT,
            FrameKind::Binary => BINARY,
        };
        [&[kind], message].concat().into()
    },
};

const TEXT: u8 = b't';
const BINARY: u8 = b'b';

/// The transport of one client.
pub(crate) struct Transport {
    client: usize,
    arrivals: Arc<Arrivals>,
    connection: OnceLock<Weak<Connection>>,
    /// A closed connection is finished in a task of its own, as by a real transport: the caller of `wake` may hold
    /// locks.
    runtime: Handle,
}

impl Transport {
    /// Creates a transport on the current runtime.
    pub(crate) fn new(client: usize, arrivals: &Arc<Arrivals>) -> Self {
        Transport { client, arrivals: arrivals.clone(), connection: OnceLock::new(), runtime: Handle::current() }
    }

    /// Sets the connection, and takes the frames that it has sent meanwhile.
    pub(crate) fn attach(&self, connection: &Arc<Connection>) {
        self.connection.set(Arc::downgrade(connection)).expect("a transport has one connection");
        self.wake();
    }

    fn receive(&self, connection: &Arc<Connection>) -> Vec<Arrival> {
        let (mut frames, mut closed) = (Vec::new(), None);
        loop {
            match connection.take(&mut frames, 64) {
                Taken::Some => {}
                Taken::All => break,
                Taken::Last(reason) => {
                    closed = Some(Arrival::Closed { client: self.client, reason });
                    let connection = connection.clone();
                    self.runtime.spawn(async move { connection.finish() });
                    break;
                }
            }
        }
        frames.iter().map(|frame| self.decode(frame)).chain(closed).collect()
    }

    fn decode(&self, frame: &Bytes) -> Arrival {
        let (kind, message) = frame.split_first().expect("the framing prepends a byte");
        let frame = match *kind {
            TEXT => Frame::Text(std::str::from_utf8(message).expect("a text frame is UTF-8")),
            _ => Frame::Binary(message),
        };
        let client = self.client;
        match client::decode(frame).expect("the client decodes every message that the server encodes") {
            Received::Reply { join_ref, reference, topic, status, payload } => {
                let (join_ref, reference) = (text(&join_ref), text(&reference).unwrap_or_default());
                Arrival::Reply { client, topic, reference, status, payload, join_ref }
            }
            Received::Event { join_ref, topic, event, payload } => {
                Arrival::Push { client, topic, event, payload, join_ref: text(&join_ref) }
            }
        }
    }
}

impl Drainer for Transport {
    fn wake(&self) {
        if let Some(connection) = self.connection.get().and_then(Weak::upgrade) {
            self.arrivals.post(|| self.receive(&connection));
        }
    }
}

/// Returns a ref as text. All refs of this kit's clients are text.
fn text(reference: &Ref) -> Option<String> {
    reference.as_str().map(str::to_owned)
}
