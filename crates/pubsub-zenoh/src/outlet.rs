//! Where messages go into zenoh: at once, by whoever publishes, or from the queue, by the adapter's thread.
//!
//! At once is what finds the queue empty and room in zenoh, see [`Credit`]: a message then does not wait for a thread to wake
//! up. All else waits in the queue. Invariants: one at a time puts messages, and who publishes never waits for that turn; what
//! is put at once never overtakes what the same publisher has in the queue.

use crate::address::NAME;
use crate::batch::Batch;
use crate::credit::Credit;
use crate::entry;
use crate::error::Error;
use crate::key::Keys;
use bennu_pubsub_cluster::{Channel, Chunk, Member};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use zenoh::Wait;
use zenoh::key_expr::KeyExpr;
use zenoh::qos::CongestionControl;
use zenoh::sample::Locality;

/// Keys that are kept ready.
const READY: usize = 4096;

#[derive(Default)]
pub(crate) struct Outlet {
    /// `None` while this node does not listen. Whoever puts holds it.
    turn: Mutex<Option<Writer>>,
    /// Never held while something is put: zenoh's threads take it too.
    credit: Mutex<Credit>,
}

struct Writer {
    session: zenoh::Session,
    /// By the bytes that name a channel in the queue.
    ready: HashMap<Box<[u8]>, KeyExpr<'static>>,
}

impl Outlet {
    /// There is a session.
    pub(crate) fn open(&self, session: zenoh::Session) {
        *self.turn.lock() = Some(Writer { session, ready: HashMap::new() });
    }

    /// Nothing is put any more.
    pub(crate) fn close(&self) {
        *self.turn.lock() = None;
    }

    pub(crate) fn credit(&self) -> MutexGuard<'_, Credit> {
        self.credit.lock()
    }

    /// Sends a message at once, if it waits for nothing and nobody.
    pub(crate) fn try_send(&self, member: &Member, keys: &Keys, channel: Channel<'_>, frame: &[u8]) -> bool {
        if !member.queue().is_empty() || member.is_leaving() {
            return false;
        }
        let Some(mut turn) = self.turn.try_lock() else { return false };
        let Some(writer) = turn.as_mut() else { return false };
        let mut credit = self.credit();
        let fits = credit.take(frame.len());
        let due = credit.is_due();
        drop(credit);
        if due {
            member.wake();
        }
        if fits {
            let mut waiting = Vec::new();
            entry::write(&mut waiting, channel, frame);
            writer.send(member, keys, waiting.len(), [&waiting[..]]);
        }
        fits
    }

    /// Sends what waited, however long that takes.
    pub(crate) fn send(&self, member: &Member, keys: &Keys, waiting: &Chunk) {
        let mut turn = self.turn.lock();
        let Some(writer) = turn.as_mut() else { return };
        let mut credit = self.credit();
        waiting.iter().for_each(|entry| credit.count(entry.len()));
        drop(credit);
        writer.send(member, keys, waiting.bytes(), waiting.iter());
    }

    /// Sends a frame by itself, however long that takes.
    pub(crate) fn put(&self, key: String, frame: impl Into<zenoh::bytes::ZBytes>) -> Result<(), Error> {
        let mut turn = self.turn.lock();
        let Some(writer) = turn.as_mut() else { return Err("this node does not listen".into()) };
        let put = writer.session.put(key, frame);
        put.congestion_control(CongestionControl::Block).allowed_destination(Locality::Remote).wait()
    }
}

impl Writer {
    /// Sends messages of so many bytes, and counts them. What follows each other on one channel is one message of zenoh's.
    fn send<'a>(&mut self, member: &Member, keys: &Keys, bytes: usize, waiting: impl IntoIterator<Item = &'a [u8]>) {
        let mut batch = Batch::new(bytes);
        let mut channel: &[u8] = &[];
        for entry in waiting {
            let (named, frame) = entry::split(entry);
            if named != channel || !batch.has_room(frame) {
                self.put(member, keys, channel, &mut batch);
                channel = named;
            }
            batch.push(frame);
        }
        self.put(member, keys, channel, &mut batch);
    }

    fn put(&mut self, member: &Member, keys: &Keys, channel: &[u8], batch: &mut Batch) {
        let (payload, frames) = batch.take();
        if frames == 0 {
            return;
        }
        let instruments = member.instruments();
        let bytes = payload.len() as u64;
        match self.try_put(keys, channel, payload) {
            Ok(()) => {
                instruments.published.increment(frames);
                instruments.published_bytes.increment(bytes);
            }
            Err(error) => {
                instruments.dropped_disconnected.increment(frames);
                tracing::debug!(adapter = NAME, %error, "zenoh does not take messages");
            }
        }
    }

    fn try_put(&mut self, keys: &Keys, channel: &[u8], payload: Vec<u8>) -> Result<(), Error> {
        if !self.ready.contains_key(channel) {
            if self.ready.len() == READY {
                self.ready.clear();
            }
            let key = KeyExpr::try_from(keys.channel(entry::channel(channel)))?;
            self.ready.insert(channel.into(), key);
        }
        let put = self.session.put(&self.ready[channel], payload);
        put.congestion_control(CongestionControl::Block).allowed_destination(Locality::Remote).wait()
    }
}
