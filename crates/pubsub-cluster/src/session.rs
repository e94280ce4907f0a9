//! One connection to a broker, from its opening to its end.
//!
//! [`crate::adapter`] runs it. A session has two tasks, so that a node with many subscribers still publishes: the
//! writer sends the queue and the changes of [`Shared`], the reader delivers. The first task to end ends the session.
//! Dropping the session aborts both.

use crate::control_message::ControlMessage;
use crate::interest::InterestChange;
use crate::queue::Chunk;
use crate::shared::Shared;
use crate::stream::{ReadHalf, WriteHalf};
use crate::{BrokerConnection, Engine, Event, EventDecoder, Subject};
use bennu_pubsub::HEARTBEAT_INTERVAL;
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout_at};

/// A connection that delivers no bytes for this long is dead. The engine answers a ping at every heartbeat, so five
/// answers are missing.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval between the checks for a silent engine and for missing heartbeats.
const TICK: Duration = Duration::from_millis(500);

/// The bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// The bytes of subscriptions in one write.
const BATCH_BYTES: usize = 64 << 10;

/// The ids of the subscriptions that do not belong to a topic.
const CONTROL_ID: u64 = 1;
const NODE_ID: u64 = 2;

/// The end of a session.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// This node sent its goodbye, and the engine has read it.
    Left,
    /// The connection is lost, for this reason.
    Lost(String),
}

/// Runs a session to its end.
pub(crate) async fn run<E: Engine>(shared: &Arc<Shared<E>>, opened: BrokerConnection<E::Decoder>) -> SessionEnd {
    let (read, write) = opened.stream.split();
    let mut halves = JoinSet::new();
    halves.spawn(receive(shared.clone(), read, opened.unread, opened.decoder));
    halves.spawn(send(shared.clone(), write));
    let ended = tokio::select! {
        ended = halves.join_next() => match ended {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => SessionEnd::Lost(error.to_string()),
            None => SessionEnd::Lost("neither task runs".to_owned()),
        },
        ended = watch(shared) => ended,
    };
    // Both tasks must have ended before the next session uses the shared state.
    halves.shutdown().await;
    ended
}

/// Removes nodes whose heartbeats are missing. Returns when the engine is silent.
async fn watch<E: Engine>(shared: &Shared<E>) -> SessionEnd {
    let mut tick = interval(TICK);
    let mut last_received = Instant::now();
    loop {
        let now = tick.tick().await;
        if shared.received.swap(false, Ordering::Relaxed) {
            last_received = now;
        } else if now - last_received >= BROKER_TIMEOUT {
            return SessionEnd::Lost(format!("no bytes from it within {BROKER_TIMEOUT:?}"));
        }
        shared.node.expire();
    }
}

/// Writes subscriptions, control messages and messages until the connection breaks.
async fn send<E: Engine>(shared: Arc<Shared<E>>, half: WriteHalf) -> SessionEnd {
    let mut writer =
        Writer { shared, half, out: Vec::new(), hello_sent: false, heartbeat: Instant::now() + HEARTBEAT_INTERVAL };
    match writer.run().await {
        // The engine closes the connection after it has read everything; the reader detects that.
        Ok(()) => std::future::pending().await,
        Err(error) => SessionEnd::Lost(error.to_string()),
    }
}

struct Writer<E> {
    shared: Arc<Shared<E>>,
    half: WriteHalf,
    out: Vec<u8>,
    /// Whether the hello is written.
    hello_sent: bool,
    /// The time of the next heartbeat.
    heartbeat: Instant,
}

impl<E: Engine> Writer<E> {
    /// Returns after the goodbye is written.
    async fn run(&mut self) -> io::Result<()> {
        let Writer { shared, out, .. } = self;
        shared.engine.subscribe(out, Subject::Control, CONTROL_ID);
        shared.engine.subscribe(out, Subject::Node(shared.node.name().as_str()), NODE_ID);
        loop {
            self.collect_commands();
            if !self.out.is_empty() {
                self.half.write_all(&self.out).await?;
                self.out.clear();
                self.out.shrink_to(2 * BATCH_BYTES);
            }
            // Read before the queue: the messages published before the leave are in the queue then.
            let leaving = self.shared.node.is_leaving();
            if let Some(chunk) = self.shared.node.queue().take() {
                self.write(chunk).await?;
                continue;
            }
            self.half.flush().await?;
            if !self.shared.node.is_synchronized() {
                continue;
            }
            if leaving {
                return self.leave().await;
            }
            // The elapsed timeout starts the next round too, for the heartbeat.
            let _ = timeout_at(self.heartbeat, self.shared.node.wait_for_wake()).await;
        }
    }

    /// Collects everything except messages: replies, then subscriptions, then the control messages that depend on them.
    fn collect_commands(&mut self) {
        let Writer { shared, out, hello_sent, heartbeat, .. } = self;
        shared.take_replies(out);
        while out.len() < BATCH_BYTES {
            match shared.node.next_change() {
                Some(InterestChange::Subscribe(topic, id)) => shared.engine.subscribe(out, Subject::Topic(&topic), id),
                Some(InterestChange::Unsubscribe(topic, id)) => {
                    shared.engine.unsubscribe(out, Subject::Topic(&topic), id)
                }
                None => break,
            }
        }
        // A node that receives the hello relies on this node's subscriptions.
        if !*hello_sent && shared.node.is_synchronized() {
            *hello_sent = true;
            shared.write_hello(out);
        }
        let now = Instant::now();
        if now >= *heartbeat {
            *heartbeat = now + HEARTBEAT_INTERVAL;
            shared.engine.ping(out);
            if *hello_sent {
                shared.write_control(out, ControlMessage::Heartbeat, None);
            }
        }
    }

    async fn write(&mut self, chunk: Chunk) -> io::Result<()> {
        let mut in_flight = InFlight { shared: &*self.shared, chunk, written: 0 };
        while in_flight.written < in_flight.chunk.bytes.len() {
            match self.half.write(&in_flight.chunk.bytes[in_flight.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => in_flight.written += bytes,
            }
        }
        Ok(())
    }

    async fn leave(&mut self) -> io::Result<()> {
        self.shared.write_control(&mut self.out, ControlMessage::Goodbye, None);
        self.half.write_all(&self.out).await?;
        self.half.flush().await?;
        self.half.shutdown().await
    }
}

/// A chunk that is being written. Its drop counts each message as published or as dropped.
struct InFlight<'a, E: Engine> {
    shared: &'a Shared<E>,
    chunk: Chunk,
    written: usize,
}

impl<E: Engine> Drop for InFlight<'_, E> {
    fn drop(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let lost = chunk.unwritten_messages(self.written);
        let instruments = self.shared.node.instruments();
        instruments.dropped_disconnected.increment(lost);
        instruments.published.increment(chunk.messages() - lost);
        instruments.published_bytes.increment(self.written as u64);
        self.shared.node.queue().release(chunk);
    }
}

/// Delivers until the connection ends.
async fn receive<E: Engine>(
    shared: Arc<Shared<E>>,
    mut half: ReadHalf,
    mut bytes: BytesMut,
    mut decoder: E::Decoder,
) -> SessionEnd {
    let mut refusals = RefusalLog::default();
    loop {
        let mut incoming = shared.node.incoming();
        loop {
            match decoder.next(&mut bytes) {
                Ok(Some(Event::Message { topic, frame })) => {
                    if let Some(incoming) = &mut incoming {
                        shared.receive(incoming, topic, frame);
                    }
                }
                Ok(Some(Event::TooLarge { len })) => {
                    shared.node.count_garbage(&format_args!("a message of {len} bytes is larger than the limit"))
                }
                Ok(Some(Event::Ping)) => shared.queue_pong(),
                Ok(Some(Event::Refused(text))) => {
                    shared.node.instruments().refused.increment(1);
                    refusals.report(E::NAME, text);
                }
                Ok(Some(Event::Other)) => {}
                Ok(None) => break,
                Err(error) => return SessionEnd::Lost(error.to_string()),
            }
        }
        drop(incoming);
        bytes.reserve(READ_BYTES);
        match half.read_buf(&mut bytes).await {
            Ok(0) | Err(_) if shared.node.is_leaving() => return SessionEnd::Left,
            Ok(0) => return SessionEnd::Lost(refusals.last.unwrap_or_else(|| "it closed the connection".to_owned())),
            Err(error) => return SessionEnd::Lost(error.to_string()),
            Ok(_) => {
                shared.received.store(true, Ordering::Relaxed);
                refusals.last = None;
            }
        }
    }
}

/// The log of refused commands. An engine may refuse every message, so only the first refusal is logged.
#[derive(Default)]
struct RefusalLog {
    reported: bool,
    /// The refusal in the last read. If the connection ends after it, the refusal is the reason.
    last: Option<String>,
}

impl RefusalLog {
    fn report(&mut self, adapter: &'static str, text: String) {
        if !std::mem::replace(&mut self.reported, true) {
            tracing::warn!(adapter, error = text, "the engine refuses; further refusals are only counted");
        }
        self.last = Some(text);
    }
}
