//! The limit of the server, measured with two connections and nothing else; for Zenoh the limit of one connection. One
//! connection writes the same command again and again, as many at once as the window allows. The other counts messages
//! by their bytes, since all have the same length.

use crate::arrival::Arrivals;
use crate::server::Engine;
use crate::{PAYLOAD, Publish};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The commands of one write.
const BATCH: u64 = 400;

pub(crate) struct Publisher {
    writer: OwnedWriteHalf,
    /// `BATCH` commands.
    commands: Vec<u8>,
    arrivals: Arc<Arrivals>,
    _readers: JoinSet<()>,
}

/// The bytes of an engine's protocol.
struct Protocol {
    hello: &'static [u8],
    subscribe: &'static [u8],
    /// The last bytes that the subscriber reads before the first message.
    subscribed: &'static [u8],
    publish: String,
    message: String,
}

impl Protocol {
    fn of(engine: Engine) -> Self {
        let payload = "d".repeat(PAYLOAD);
        match engine {
            Engine::Redis => Protocol {
                hello: b"",
                subscribe: b"*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\nbench\r\n",
                subscribed: b":1\r\n",
                publish: format!("*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n${PAYLOAD}\r\n{payload}\r\n"),
                message: format!("*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n${PAYLOAD}\r\n{payload}\r\n"),
            },
            // There is no subscription, since the other end of the connection is the reader.
            Engine::Zenoh => {
                Protocol { hello: b"", subscribe: b"", subscribed: b"", publish: payload.clone(), message: payload }
            }
            Engine::Nats => Protocol {
                hello: b"CONNECT {\"verbose\":false,\"protocol\":1}\r\n",
                subscribe: b"SUB bench 1\r\nPING\r\n",
                subscribed: b"PONG\r\n",
                publish: format!("PUB bench {PAYLOAD}\r\n{payload}\r\n"),
                message: format!("MSG bench 1 {PAYLOAD}\r\n{payload}\r\n"),
            },
        }
    }
}

impl Publisher {
    pub(crate) async fn start(engine: Engine, port: u16) -> Self {
        let protocol = Protocol::of(engine);
        if let Engine::Zenoh = engine {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            let (writer, accepted) = tokio::join!(connect(port), listener.accept());
            let (reader, _) = accepted.expect("it connects");
            return Publisher::of(protocol, reader.into_split(), writer.into_split());
        }
        let (mut subscriber, mut subscribing) = connect(port).await.into_split();
        subscribing.write_all(protocol.hello).await.expect("the server reads");
        subscribing.write_all(protocol.subscribe).await.expect("the server reads");
        let mut read = Vec::new();
        while !read.ends_with(protocol.subscribed) {
            subscriber.read_buf(&mut read).await.expect("the server answers");
        }
        let (replies, mut writer) = connect(port).await.into_split();
        writer.write_all(protocol.hello).await.expect("the server reads");
        Publisher::of(protocol, (subscriber, subscribing), (replies, writer))
    }

    fn of(
        protocol: Protocol,
        (subscriber, subscribing): (OwnedReadHalf, OwnedWriteHalf),
        (replies, writer): (OwnedReadHalf, OwnedWriteHalf),
    ) -> Self {
        let arrivals = Arc::new(Arrivals::new());
        let mut readers = JoinSet::new();
        readers.spawn(count(subscriber, subscribing, protocol.message.len(), arrivals.clone()));
        readers.spawn(discard(replies));
        Publisher { writer, commands: protocol.publish.repeat(BATCH as usize).into(), arrivals, _readers: readers }
    }
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP connection has this option");
    stream
}

/// `_kept` is the other half; dropping it would end the connection.
async fn count(mut subscriber: OwnedReadHalf, _kept: OwnedWriteHalf, message: usize, arrivals: Arc<Arrivals>) {
    let mut bytes = vec![0; 64 << 10];
    let mut partial = 0;
    while let Ok(read @ 1..) = subscriber.read(&mut bytes).await {
        partial += read;
        if partial >= message {
            arrivals.add((partial / message) as u64);
            partial %= message;
        }
    }
}

async fn discard(mut replies: OwnedReadHalf) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(1..) = replies.read(&mut bytes).await {}
}

impl Publish for Publisher {
    async fn publish(&mut self, most: u64) -> u64 {
        let messages = most.min(BATCH);
        let bytes = self.commands.len() / BATCH as usize * messages as usize;
        self.writer.write_all(&self.commands[..bytes]).await.expect("the server reads");
        messages
    }

    fn arrivals(&self) -> Arc<Arrivals> {
        self.arrivals.clone()
    }
}
