//! The commands and the handshake of the NATS protocol.
//!
//! [`bennu_pubsub_cluster::BrokerAdapter`] calls the engine. Invariant: no two subjects of the adapter have the same
//! NATS subject.

use crate::message::{MAX_PAYLOAD, Messages, line, refusal};
use bennu_pubsub_cluster::token::Alphabet;
use bennu_pubsub_cluster::{
    Address, BrokerConnection, BrokerProtocolError, Connector, Engine, OpenError, Stream, Subject,
};
use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize};
use std::io::Write;

pub(crate) const NAME: &str = "nats";

/// Dots, `*`, `>` and white space have a meaning in a NATS subject. A command stays within the 4,096 bytes that a
/// server reads.
const TOKEN: Alphabet = Alphabet { plain: b"-_:/@+,~", digest_mark: b'#' };

pub(crate) struct NatsEngine {
    connector: Connector,
    /// The prefixes of NATS subjects, and the control subject.
    topics: String,
    nodes: String,
    control: String,
}

/// The server's first message.
#[derive(Deserialize)]
struct Info {
    max_payload: usize,
    #[serde(default)]
    tls_required: bool,
}

/// The client's answer.
#[derive(Serialize)]
struct Connect<'a> {
    verbose: bool,
    pedantic: bool,
    tls_required: bool,
    /// `false`: the server does not send the messages of this connection back to it.
    echo: bool,
    name: &'a str,
    lang: &'a str,
    version: &'a str,
    protocol: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<&'a str>,
}

impl NatsEngine {
    pub(crate) fn new(connector: Connector, cluster: &str) -> Self {
        let cluster = TOKEN.encode(cluster);
        NatsEngine {
            connector,
            topics: format!("bennu.{cluster}.t."),
            nodes: format!("bennu.{cluster}.n."),
            control: format!("bennu.{cluster}.c"),
        }
    }

    fn write_subject(&self, out: &mut Vec<u8>, subject: Subject<'_>) {
        let (prefix, name) = match subject {
            Subject::Topic(topic) => (&self.topics, Some(topic)),
            Subject::Node(node) => (&self.nodes, Some(node)),
            Subject::Control => (&self.control, None),
        };
        out.extend_from_slice(prefix.as_bytes());
        if let Some(name) = name {
            TOKEN.encode_into(out, name);
        }
    }
}

impl Engine for NatsEngine {
    const NAME: &'static str = NAME;
    const MEETING_POINT: &'static str = "at their NATS server";
    /// The default of a server.
    const MAX_PAYLOAD: usize = 1 << 20;
    type Decoder = Messages;

    async fn open(&self, attempt: usize) -> Result<BrokerConnection<Messages>, OpenError> {
        let address = self.connector.address(attempt);
        let mut stream = Stream::connect(address).await?;
        let mut unread = BytesMut::new();
        let info = read_info(&mut stream, &mut unread).await?;
        let secure = address.secure || info.tls_required;
        if secure {
            if !unread.is_empty() {
                return Err(BrokerProtocolError("the server sent data before the TLS handshake".to_owned()).into());
            }
            stream = self.connector.secure(stream, address).await?;
        }
        stream.write(&connect(address, secure)).await?;
        let max_payload = info.max_payload.min(MAX_PAYLOAD);
        stream = await_pong(stream, &mut unread).await?;
        Ok(BrokerConnection { stream, unread, decoder: Messages::new(&self.topics), max_payload })
    }

    fn publish(&self, out: &mut Vec<u8>, subject: Subject<'_>, payload: &[u8]) {
        out.extend_from_slice(b"PUB ");
        self.write_subject(out, subject);
        // Writing to a vector never fails.
        let _ = write!(out, " {}\r\n", payload.len());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn subscribe(&self, out: &mut Vec<u8>, subject: Subject<'_>, id: u64) {
        out.extend_from_slice(b"SUB ");
        self.write_subject(out, subject);
        let _ = write!(out, " {id}\r\n");
    }

    fn unsubscribe(&self, out: &mut Vec<u8>, _subject: Subject<'_>, id: u64) {
        let _ = write!(out, "UNSUB {id}\r\n");
    }

    fn ping(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING\r\n");
    }

    fn pong(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PONG\r\n");
    }
}

async fn read_info(stream: &mut Stream, unread: &mut BytesMut) -> Result<Info, OpenError> {
    loop {
        if let Some((first, end)) = line(unread)? {
            let json = first
                .strip_prefix(b"INFO ")
                .ok_or_else(|| BrokerProtocolError("its first line does not begin with INFO".to_owned()))?;
            let info = serde_json::from_slice(json).map_err(|error| BrokerProtocolError(error.to_string()))?;
            unread.advance(end);
            return Ok(info);
        }
        stream.read(unread).await?;
    }
}

/// Waits for the answer to the ping. The server answers in order, so it has accepted the credentials before.
async fn await_pong(mut stream: Stream, unread: &mut BytesMut) -> Result<Stream, OpenError> {
    loop {
        let Some((answer, end)) = line(unread)? else {
            stream.read(unread).await?;
            continue;
        };
        if let Some(error) = answer.strip_prefix(b"-ERR") {
            return Err(OpenError::Refused(refusal(error)));
        }
        let ready = answer == b"PONG";
        unread.advance(end);
        if ready {
            return Ok(stream);
        }
    }
}

fn connect(address: &Address, secure: bool) -> Vec<u8> {
    let (user, token) = match address.password {
        Some(_) => (address.user.as_deref(), None),
        None => (None, address.user.as_deref()),
    };
    let connect = Connect {
        verbose: false,
        pedantic: false,
        tls_required: secure,
        echo: false,
        name: env!("CARGO_PKG_NAME"),
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        user,
        pass: address.password.as_deref(),
        auth_token: token,
    };
    let json = serde_json::to_string(&connect).expect("strings, numbers and booleans can be written as JSON");
    format!("CONNECT {json}\r\nPING\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Nats;

    fn engine(cluster: &str) -> NatsEngine {
        NatsEngine::new(Nats::new("nats://h").unwrap().connector, cluster)
    }

    #[test]
    fn commands_are_in_the_nats_protocol() {
        let engine = engine("my shop");
        let mut out = Vec::new();
        engine.publish(&mut out, Subject::Topic("a.b"), b"hi");
        engine.subscribe(&mut out, Subject::Control, 1);
        engine.subscribe(&mut out, Subject::Node("a@host.io"), 2);
        engine.unsubscribe(&mut out, Subject::Node("a@host.io"), 2);
        engine.ping(&mut out);
        engine.pong(&mut out);
        let expected = "PUB bennu.my=20shop.t.a=2Eb 2\r\nhi\r\nSUB bennu.my=20shop.c 1\r\n\
            SUB bennu.my=20shop.n.a@host=2Eio 2\r\nUNSUB 2\r\nPING\r\nPONG\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_url_contains_a_user_or_a_token_or_neither() {
        let connect = |url| {
            let nats = Nats::new(url).unwrap();
            String::from_utf8(connect(nats.connector.address(0), false)).unwrap()
        };
        assert!(connect("nats://u:p%40@h").contains(r#""user":"u","pass":"p@"}"#));
        assert!(connect("nats://secret@h").contains(r#""auth_token":"secret"}"#));
        assert!(connect("nats://h").ends_with("\"protocol\":1}\r\nPING\r\n"));
    }

    #[test]
    fn each_attempt_takes_the_next_server() {
        let nats = Nats::new("nats://a:1, nats://b").unwrap();
        let taken: Vec<_> = (0..3).map(|attempt| nats.connector.address(attempt).to_string()).collect();
        assert_eq!(taken, ["a:1", "b:4222", "a:1"]);
        assert!(Nats::new("nats://a,redis://b").is_err());
    }
}
