//! The Redis protocol RESP3, in which one connection both publishes and subscribes. Redis has it since version 6.
//!
//! [`bennu_pubsub_cluster::BrokerAdapter`] calls the engine. Invariant: no two subjects have the same channel.

use crate::command::write;
use crate::reply::{MAX_PAYLOAD, Replies};
use bennu_pubsub_cluster::{BrokerConnection, Connector, Engine, Event, EventDecoder, OpenError, Stream, Subject};
use bytes::BytesMut;

pub(crate) const NAME: &str = "redis";

pub(crate) struct RedisEngine {
    connector: Connector,
    /// The prefixes of channel names, and the name of the control channel.
    topics: String,
    nodes: String,
    control: String,
}

impl RedisEngine {
    pub(crate) fn new(connector: Connector, cluster: &str) -> Self {
        // Otherwise cluster `a:t` with topic `b` would have the channel of cluster `a` with topic `t:b`.
        let cluster = cluster.replace('%', "%25").replace(':', "%3A");
        RedisEngine {
            connector,
            topics: format!("bennu:{cluster}:t:"),
            nodes: format!("bennu:{cluster}:n:"),
            control: format!("bennu:{cluster}:c"),
        }
    }

    /// Returns the two pieces of a channel's name.
    fn name<'a>(&'a self, subject: Subject<'a>) -> [&'a [u8]; 2] {
        match subject {
            Subject::Topic(topic) => [self.topics.as_bytes(), topic.as_bytes()],
            Subject::Node(node) => [self.nodes.as_bytes(), node.as_bytes()],
            Subject::Control => [self.control.as_bytes(), b""],
        }
    }
}

impl Engine for RedisEngine {
    const NAME: &'static str = NAME;
    const MEETING_POINT: &'static str = "at their Redis server";
    const MAX_PAYLOAD: usize = MAX_PAYLOAD;
    type Decoder = Replies;

    async fn open(&self, attempt: usize) -> Result<BrokerConnection<Replies>, OpenError> {
        let address = self.connector.address(attempt);
        let mut stream = Stream::connect(address).await?;
        if address.secure {
            stream = self.connector.secure(stream, address).await?;
        }
        let mut hello = Vec::new();
        match &address.password {
            Some(password) => {
                let user = address.user.as_deref().unwrap_or("default");
                write(&mut hello, &[&[b"HELLO"], &[b"3"], &[b"AUTH"], &[user.as_bytes()], &[password.as_bytes()]]);
            }
            None => write(&mut hello, &[&[b"HELLO"], &[b"3"]]),
        }
        stream.write(&hello).await?;
        let mut unread = BytesMut::new();
        let mut decoder = Replies::new(&self.topics);
        loop {
            match decoder.next(&mut unread)? {
                None => stream.read(&mut unread).await?,
                Some(Event::Refused(text)) if text.contains("unknown command") => {
                    return Err(OpenError::Refused(format!(
                        "the server is older than Redis 6; use version 6 or later: {text}"
                    )));
                }
                Some(Event::Refused(text)) => return Err(OpenError::Refused(text)),
                Some(_) => return Ok(BrokerConnection { stream, unread, decoder, max_payload: Self::MAX_PAYLOAD }),
            }
        }
    }

    fn publish(&self, out: &mut Vec<u8>, subject: Subject<'_>, payload: &[u8]) {
        write(out, &[&[b"PUBLISH"], &self.name(subject), &[payload]]);
    }

    fn subscribe(&self, out: &mut Vec<u8>, subject: Subject<'_>, _id: u64) {
        write(out, &[&[b"SUBSCRIBE"], &self.name(subject)]);
    }

    fn unsubscribe(&self, out: &mut Vec<u8>, subject: Subject<'_>, _id: u64) {
        write(out, &[&[b"UNSUBSCRIBE"], &self.name(subject)]);
    }

    fn ping(&self, out: &mut Vec<u8>) {
        write(out, &[&[b"PING"]]);
    }

    // Redis sends no pings.
    fn pong(&self, _out: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Redis;

    #[test]
    fn no_two_channels_have_the_same_name() {
        let engine = |cluster| RedisEngine::new(Redis::new("redis://h").unwrap().connector, cluster);
        let name = |cluster, subject| String::from_utf8(engine(cluster).name(subject).concat()).unwrap();
        assert_eq!(name("shop", Subject::Topic("room:a b")), "bennu:shop:t:room:a b");
        assert_eq!(name("shop", Subject::Node("a@host")), "bennu:shop:n:a@host");
        assert_eq!(name("shop", Subject::Control), "bennu:shop:c");
        assert_eq!(name("a:t", Subject::Topic("b")), "bennu:a%3At:t:b");
        assert_ne!(name("a:t", Subject::Topic("b")), name("a", Subject::Topic("t:t:b")));
    }

    #[test]
    fn commands_are_in_the_redis_protocol() {
        let engine = RedisEngine::new(Redis::new("redis://h").unwrap().connector, "x");
        let mut out = Vec::new();
        engine.publish(&mut out, Subject::Topic("t"), b"hi");
        engine.subscribe(&mut out, Subject::Control, 1);
        engine.unsubscribe(&mut out, Subject::Node("n"), 2);
        engine.ping(&mut out);
        let expected = "*3\r\n$7\r\nPUBLISH\r\n$11\r\nbennu:x:t:t\r\n$2\r\nhi\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$9\r\nbennu:x:c\r\n\
            *2\r\n$11\r\nUNSUBSCRIBE\r\n$11\r\nbennu:x:n:n\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
