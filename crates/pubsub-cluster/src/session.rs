//! One connection, from when it is open to its end.
//!
//! Two tasks, so that a node whose subscribers are many still publishes: the writer takes what waits in [`Shared`], the
//! reader delivers. Whichever ends first ends the session; both are aborted when it is dropped.

use crate::interest::Change;
use crate::queue::Chunk;
use crate::shared::Shared;
use crate::stream::{ReadHalf, WriteHalf};
use crate::word::Word;
use crate::{Channel, Decoder, Engine, Event, Opened};
use bennu_pubsub::HEARTBEAT;
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout_at};

/// A connection without a word for so long is dead. The engine answers a ping with every heartbeat, so five were lost.
const SILENCE: Duration = Duration::from_secs(10);

/// How often silence is looked for, the engine's and the other nodes'.
const TICK: Duration = Duration::from_millis(500);

/// Bytes that are read at once.
const READ: usize = 64 << 10;

/// Bytes of subscriptions that are written at once.
const BATCH: usize = 64 << 10;

/// The ids of the subscriptions that are no topic's.
const CONTROL_ID: u64 = 1;
const NODE_ID: u64 = 2;

/// How a session ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// This node said goodbye, and the engine has read it.
    Left,
    /// The connection is gone.
    Lost(String),
}

/// Runs a session to its end.
pub(crate) async fn run<E: Engine>(shared: &Arc<Shared<E>>, opened: Opened<E::Decoder>) -> Ended {
    let (read, write) = opened.stream.split();
    let mut halves = JoinSet::new();
    halves.spawn(receive(shared.clone(), read, opened.unread, opened.decoder));
    halves.spawn(send(shared.clone(), write));
    let ended = tokio::select! {
        ended = halves.join_next() => match ended {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => Ended::Lost(error.to_string()),
            None => Ended::Lost("nobody reads or writes".to_owned()),
        },
        ended = watch(shared) => ended,
    };
    // Neither may touch what the next session uses.
    halves.shutdown().await;
    ended
}

/// Returns when the engine is silent. Forgets nodes that are.
async fn watch<E: Engine>(shared: &Shared<E>) -> Ended {
    let mut tick = interval(TICK);
    let mut heard_at = Instant::now();
    loop {
        let now = tick.tick().await;
        if shared.heard.swap(false, Ordering::Relaxed) {
            heard_at = now;
        } else if now - heard_at >= SILENCE {
            return Ended::Lost(format!("no word from it within {SILENCE:?}"));
        }
        shared.member.expire();
    }
}

/// Writes subscriptions, words and messages until the connection breaks.
async fn send<E: Engine>(shared: Arc<Shared<E>>, half: WriteHalf) -> Ended {
    let mut writer = Writer { shared, half, out: Vec::new(), greeted: false, heartbeat: Instant::now() + HEARTBEAT };
    match writer.run().await {
        // The engine closes the connection when it has read it all; the reader sees that.
        Ok(()) => std::future::pending().await,
        Err(error) => Ended::Lost(error.to_string()),
    }
}

struct Writer<E> {
    shared: Arc<Shared<E>>,
    half: WriteHalf,
    out: Vec<u8>,
    /// Whether others were told that this node is there.
    greeted: bool,
    /// When they are told next.
    heartbeat: Instant,
}

impl<E: Engine> Writer<E> {
    /// Returns when goodbye is said.
    async fn run(&mut self) -> io::Result<()> {
        let Writer { shared, out, .. } = self;
        shared.engine.subscribe(out, Channel::Control, CONTROL_ID);
        shared.engine.subscribe(out, Channel::Node(shared.member.node().as_str()), NODE_ID);
        loop {
            self.gather();
            if !self.out.is_empty() {
                self.half.write_all(&self.out).await?;
                self.out.clear();
                self.out.shrink_to(2 * BATCH);
            }
            // Before the queue: what was published before leaving is in it then.
            let leaving = self.shared.member.is_leaving();
            if let Some(chunk) = self.shared.member.queue().take() {
                self.write(chunk).await?;
                continue;
            }
            self.half.flush().await?;
            if !self.shared.member.is_told() {
                continue;
            }
            if leaving {
                return self.part().await;
            }
            // An elapsed heartbeat is as good a reason to go on as being woken.
            let _ = timeout_at(self.heartbeat, self.shared.member.woken()).await;
        }
    }

    /// Collects all but messages: first what the engine waits for, then subscriptions, then words that rest on them.
    fn gather(&mut self) {
        let Writer { shared, out, greeted, heartbeat, .. } = self;
        shared.take_answers(out);
        while out.len() < BATCH {
            match shared.member.next_change() {
                Some(Change::Subscribe(topic, id)) => shared.engine.subscribe(out, Channel::Topic(&topic), id),
                Some(Change::Unsubscribe(topic, id)) => shared.engine.unsubscribe(out, Channel::Topic(&topic), id),
                None => break,
            }
        }
        // Whoever hears hello may count on this node's subscriptions.
        if !*greeted && shared.member.is_told() {
            *greeted = true;
            shared.greet(out);
        }
        let now = Instant::now();
        if now >= *heartbeat {
            *heartbeat = now + HEARTBEAT;
            shared.engine.ping(out);
            if *greeted {
                shared.say(out, Word::Here, None);
            }
        }
    }

    async fn write(&mut self, chunk: Chunk) -> io::Result<()> {
        let mut writing = Writing { shared: &*self.shared, chunk, written: 0 };
        while writing.written < writing.chunk.bytes.len() {
            match self.half.write(&writing.chunk.bytes[writing.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => writing.written += bytes,
            }
        }
        Ok(())
    }

    async fn part(&mut self) -> io::Result<()> {
        self.shared.say(&mut self.out, Word::Bye, None);
        self.half.write_all(&self.out).await?;
        self.half.flush().await?;
        self.half.shutdown().await
    }
}

/// Messages on their way to the socket. However that ends, each is counted, as published or as dropped.
struct Writing<'a, E: Engine> {
    shared: &'a Shared<E>,
    chunk: Chunk,
    written: usize,
}

impl<E: Engine> Drop for Writing<'_, E> {
    fn drop(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let lost = chunk.messages_after(self.written);
        let instruments = self.shared.member.instruments();
        instruments.dropped_disconnected.increment(lost);
        instruments.published.increment(chunk.messages() - lost);
        instruments.published_bytes.increment(self.written as u64);
        self.shared.member.queue().done(chunk);
    }
}

/// Delivers until the connection ends.
async fn receive<E: Engine>(
    shared: Arc<Shared<E>>,
    mut half: ReadHalf,
    mut bytes: BytesMut,
    mut decoder: E::Decoder,
) -> Ended {
    let mut refused = Refused::default();
    loop {
        let mut incoming = shared.member.incoming();
        loop {
            match decoder.next(&mut bytes) {
                Ok(Some(Event::Message { topic, frame })) => {
                    if let Some(incoming) = &mut incoming {
                        shared.receive(incoming, topic, frame);
                    }
                }
                Ok(Some(Event::TooLarge { len })) => shared.member.garbage(&format_args!("a message of {len} bytes")),
                Ok(Some(Event::Ping)) => shared.answer_ping(),
                Ok(Some(Event::Refused(text))) => {
                    shared.member.instruments().refused.increment(1);
                    refused.report(E::NAME, text);
                }
                Ok(Some(Event::Other)) => {}
                Ok(None) => break,
                Err(error) => return Ended::Lost(error.to_string()),
            }
        }
        drop(incoming);
        bytes.reserve(READ);
        match half.read_buf(&mut bytes).await {
            Ok(0) | Err(_) if shared.member.is_leaving() => return Ended::Left,
            Ok(0) => return Ended::Lost(refused.last.unwrap_or_else(|| "it closed the connection".to_owned())),
            Err(error) => return Ended::Lost(error.to_string()),
            Ok(_) => {
                shared.heard.store(true, Ordering::Relaxed);
                refused.last = None;
            }
        }
    }
}

/// What the engine did not do. It may say so for each message, so only its first words are logged.
#[derive(Default)]
struct Refused {
    reported: bool,
    /// Of what was read last: when the connection ends with it, that is why.
    last: Option<String>,
}

impl Refused {
    fn report(&mut self, adapter: &'static str, text: String) {
        if !std::mem::replace(&mut self.reported, true) {
            tracing::warn!(adapter, error = text, "the engine refuses; further refusals are only counted");
        }
        self.last = Some(text);
    }
}
