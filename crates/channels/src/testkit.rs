//! The access that `bennu-testkit` needs, behind the feature `testkit`: a connection without `connect`, and reads of
//! the state of sockets and channels. It is not for applications, and has no promise of stability.
//!
//! A read goes through the channel's mailbox as an [`Info`] of its own, in order with the channel's other mail. It
//! needs no `HandleInfo`, and cannot crash the channel: its panic is resumed in the test.

use crate::channel::Channel;
use crate::channel::context::{Context, Handle};
use crate::channel::info::Info;
use crate::channel::info::{ChannelGone, ChannelRef};
use crate::connection::{Common, Connected, Connection, Limits};
use crate::endpoint::Endpoint;
use crate::outcome::{Flow, noreply};
use crate::socket::Socket;
use crate::socket::mount::Live;
use crate::socket::router::ChannelRouter;
use crate::telemetry::SocketInstruments;
use bennu_protocol::PatternError;
use futures::future::BoxFuture;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Connected {
    /// Makes a client with this socket, as if `connect` had returned it.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that cannot be a route.
    pub fn with<S: Socket>(
        socket: S,
        state: Arc<S::State>,
        endpoint: &Endpoint,
        limits: Limits,
    ) -> Result<Self, PatternError> {
        let router = Arc::new(ChannelRouter::<S>::of(state)?);
        let (id, upgrading) = (socket.id(), endpoint.upgrade_started());
        let opener = Arc::new(Live { socket: Arc::new(socket), router });
        let common = Arc::new(Common { limits, instruments: SocketInstruments::of::<S>() });
        Ok(Connected { opener, id, endpoint: endpoint.clone(), common, upgrading, permit: None, refused: None })
    }

    /// Returns the socket, when it is of that type.
    pub fn socket<S: Socket>(&self) -> Option<Arc<S>> {
        self.opener.socket().downcast().ok()
    }
}

impl Connection {
    /// Returns the channel of a topic, when there is one and it is of that type.
    pub fn channel<S: Socket, C: Channel<S>>(&self, topic: &str) -> Option<ChannelRef<S, C>> {
        let handle = self.handle(topic)?.as_any().downcast::<Handle<S, C>>().ok()?;
        Some(ChannelRef::new(&handle))
    }
}

impl<S: Socket, C: Channel<S>> ChannelRef<S, C> {
    /// Reads the channel's state, once the channel has handled its earlier mail.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel has ended, or ends before it handles this.
    ///
    /// # Panics
    /// Panics when `read` does.
    pub async fn inspect<R: Send + 'static>(
        &self,
        read: impl FnOnce(&C) -> R + Send + 'static,
    ) -> Result<R, ChannelGone> {
        let (answer, answered) = oneshot::channel();
        let handle = self.handle().ok_or(ChannelGone)?;
        let is_queued = handle.inform(Box::new(Read { read, answer }), 0);
        // The wait must not keep an ended channel alive.
        drop(handle);
        if !is_queued {
            return Err(ChannelGone);
        }
        match answered.await.map_err(|_| ChannelGone)? {
            Ok(value) => Ok(value),
            Err(panic) => resume_unwind(panic),
        }
    }
}

struct Read<F, R> {
    read: F,
    answer: oneshot::Sender<std::thread::Result<R>>,
}

impl<S, C, F, R> Info<C, Context<S, C>> for Read<F, R>
where
    S: Socket,
    C: Channel<S>,
    F: FnOnce(&C) -> R + Send,
    R: Send,
{
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, _: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        let Read { read, answer } = *self;
        // An error means that the test no longer waits.
        let _ = answer.send(catch_unwind(AssertUnwindSafe(|| read(channel))));
        Box::pin(async { noreply() })
    }

    fn name(&self) -> &'static str {
        "a read of its state"
    }
}
