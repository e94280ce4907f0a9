//! The transport of a test: no network, only a mailbox. What a connection's outbox holds is taken out and decoded at
//! once, by whoever sent it, so that the mailbox has the order of sending across all clients.
//!
//! The outbox calls [`Drainer::wake`] without its lock, unless its client is too slow, which [`crate::TestSocket`]
//! excludes; so taking is possible inside `wake`. Under whose locks a `wake` comes is not known: nothing but the
//! outbox's and the mailbox's own is taken here.

use crate::arrival::Arrival;
use crate::mailbox::Mailbox;
use bennu_channels::protocol::client::{self, Received};
use bennu_channels::protocol::{Frame, FrameKind, Ref};
use bennu_channels::{Connection, Drainer, Framing, Taken};
use bytes::Bytes;
use std::sync::{Arc, OnceLock, Weak};
use tokio::runtime::Handle;

/// One byte that says which kind of frame it is, then the message.
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

/// One client's end of its connection.
pub(crate) struct Transport {
    client: usize,
    mailbox: Arc<Mailbox>,
    connection: OnceLock<Weak<Connection>>,
    /// A connection that is closed is finished in a task of its own, as by a real transport: `wake` may come under locks.
    runtime: Handle,
}

impl Transport {
    /// Of the runtime that this is called in.
    pub(crate) fn new(client: usize, mailbox: &Arc<Mailbox>) -> Self {
        Transport { client, mailbox: mailbox.clone(), connection: OnceLock::new(), runtime: Handle::current() }
    }

    /// The connection is there; what it has said meanwhile is taken.
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
        let (kind, message) = frame.split_first().expect("the framing puts a byte in front");
        let frame = match *kind {
            TEXT => Frame::Text(std::str::from_utf8(message).expect("a text frame is UTF-8")),
            _ => Frame::Binary(message),
        };
        let client = self.client;
        match client::decode(frame).expect("a server's message is one of the protocol's") {
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
            self.mailbox.post(|| self.receive(&connection));
        }
    }
}

/// Refs of this kit's clients are text.
fn text(reference: &Ref) -> Option<String> {
    reference.as_str().map(str::to_owned)
}
