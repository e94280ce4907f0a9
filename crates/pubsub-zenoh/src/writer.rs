//! Puts messages into Zenoh: at once from the publisher's thread, or from the queue by the adapter's thread.
//!
//! A message is put at once if the queue is empty and the [`Window`] has room; it then does not wait for a thread to
//! wake up. Every other message waits in the queue. Invariants: one thread at a time puts messages, and a publisher
//! never waits for its turn; a message that is put at once never overtakes queued messages of the same publisher.

use crate::Error;
use crate::address::NAME;
use crate::batch::Batch;
use crate::key::Keys;
use crate::queue_entry;
use crate::window::Window;
use bennu_pubsub_cluster::{Chunk, LocalNode, Subject};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use zenoh::Wait;
use zenoh::key_expr::KeyExpr;
use zenoh::qos::CongestionControl;
use zenoh::sample::Locality;

/// The number of cached key expressions.
const MAX_KEYS: usize = 4096;

#[derive(Default)]
pub(crate) struct Writer {
    /// `None` while this node does not listen. A thread holds the lock while it puts.
    session: Mutex<Option<SessionWriter>>,
    /// Never held during a put, since Zenoh's threads take it too.
    window: Mutex<Window>,
}

struct SessionWriter {
    session: zenoh::Session,
    /// Key expressions by the encoded subject.
    keys: HashMap<Box<[u8]>, KeyExpr<'static>>,
}

impl Writer {
    /// Starts to put messages into a session.
    pub(crate) fn open(&self, session: zenoh::Session) {
        *self.session.lock() = Some(SessionWriter { session, keys: HashMap::new() });
    }

    /// Stops putting messages.
    pub(crate) fn close(&self) {
        *self.session.lock() = None;
    }

    pub(crate) fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock()
    }

    /// Sends a message at once, if that requires no waiting. Returns whether it was sent.
    pub(crate) fn try_send(&self, node: &LocalNode, keys: &Keys, subject: Subject<'_>, frame: &[u8]) -> bool {
        if !node.queue().is_empty() || node.is_leaving() {
            return false;
        }
        let Some(mut session) = self.session.try_lock() else { return false };
        let Some(writer) = session.as_mut() else { return false };
        let mut window = self.window();
        let fits = window.try_reserve(frame.len());
        let due = window.needs_marker();
        drop(window);
        if due {
            node.wake();
        }
        if fits {
            let mut waiting = Vec::new();
            queue_entry::write(&mut waiting, subject, frame);
            writer.send(node, keys, waiting.len(), [&waiting[..]]);
        }
        fits
    }

    /// Sends queued messages. Waits as long as Zenoh does.
    pub(crate) fn send(&self, node: &LocalNode, keys: &Keys, waiting: &Chunk) {
        let mut session = self.session.lock();
        let Some(writer) = session.as_mut() else { return };
        let mut window = self.window();
        waiting.iter().for_each(|entry| window.add(entry.len()));
        drop(window);
        writer.send(node, keys, waiting.bytes(), waiting.iter());
    }

    /// Sends one frame. Waits as long as Zenoh does.
    pub(crate) fn put(&self, key: String, frame: impl Into<zenoh::bytes::ZBytes>) -> Result<(), Error> {
        let mut session = self.session.lock();
        let Some(writer) = session.as_mut() else { return Err("this node does not listen".into()) };
        let put = writer.session.put(key, frame);
        put.congestion_control(CongestionControl::Block).allowed_destination(Locality::Remote).wait()
    }
}

impl SessionWriter {
    /// Sends and counts messages of so many bytes. Consecutive messages on one subject are one Zenoh message.
    fn send<'a>(&mut self, node: &LocalNode, keys: &Keys, bytes: usize, waiting: impl IntoIterator<Item = &'a [u8]>) {
        let mut batch = Batch::new(bytes);
        let mut subject: &[u8] = &[];
        for entry in waiting {
            let (encoded, frame) = queue_entry::split(entry);
            if encoded != subject || !batch.has_room(frame) {
                self.put(node, keys, subject, &mut batch);
                subject = encoded;
            }
            batch.push(frame);
        }
        self.put(node, keys, subject, &mut batch);
    }

    fn put(&mut self, node: &LocalNode, keys: &Keys, subject: &[u8], batch: &mut Batch) {
        let (payload, frames) = batch.take();
        if frames == 0 {
            return;
        }
        let instruments = node.instruments();
        let bytes = payload.len() as u64;
        match self.try_put(keys, subject, payload) {
            Ok(()) => {
                instruments.published.increment(frames);
                instruments.published_bytes.increment(bytes);
            }
            Err(error) => {
                instruments.dropped_disconnected.increment(frames);
                tracing::debug!(adapter = NAME, %error, "zenoh could not send messages");
            }
        }
    }

    fn try_put(&mut self, keys: &Keys, subject: &[u8], payload: Vec<u8>) -> Result<(), Error> {
        if !self.keys.contains_key(subject) {
            if self.keys.len() == MAX_KEYS {
                self.keys.clear();
            }
            let key = KeyExpr::try_from(keys.for_subject(queue_entry::decode_subject(subject)))?;
            self.keys.insert(subject.into(), key);
        }
        let put = self.session.put(&self.keys[subject], payload);
        put.congestion_control(CongestionControl::Block).allowed_destination(Locality::Remote).wait()
    }
}
