//! The doors for `bennu-testkit`, behind the feature `testkit`: a socket that was not asked, a look at what sockets and
//! channels hold, and how many channels a connection has. Not for applications, and without a promise of stability.
//!
//! A look goes through the channel's mailbox as an [`Info`] of its own, in order with the channel's other mail. It needs
//! no `HandleInfo`, and it cannot crash the channel: its panic goes back to whoever looks.

use crate::channel::Channel;
use crate::connection::{Common, Connected, Connection, Limits};
use crate::context::{ChannelSlot, Context};
use crate::endpoint::Endpoint;
use crate::info::Info;
use crate::inform::{ChannelGone, ChannelRef};
use crate::mount::Live;
use crate::outcome::{Flow, noreply};
use crate::router::ChannelRouter;
use crate::socket::Socket;
use crate::telemetry::SocketInstruments;
use bennu_protocol::PatternError;
use futures::future::BoxFuture;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Connected {
    /// A client with this socket, as if `connect` had returned it.
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
        Ok(Connected { opener, id, endpoint: endpoint.clone(), common, upgrading, newcomer: None, refused: None })
    }

    /// The socket, when it is of that type.
    pub fn socket<S: Socket>(&self) -> Option<Arc<S>> {
        self.opener.socket().downcast().ok()
    }
}

impl Connection {
    /// The channel of a topic, when there is one and it is of that type.
    pub fn channel<S: Socket, C: Channel<S>>(&self, topic: &str) -> Option<ChannelRef<S, C>> {
        let slot = self.handle(topic)?.as_any().downcast::<ChannelSlot<S, C>>().ok()?;
        Some(ChannelRef::new(&slot))
    }
}

impl<S: Socket, C: Channel<S>> ChannelRef<S, C> {
    /// Looks at the channel's state, once what was sent to the channel before has been handled.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel has ended, or ends before it comes to this.
    ///
    /// # Panics
    /// When `look` does.
    pub async fn inspect<R: Send + 'static>(
        &self,
        look: impl FnOnce(&C) -> R + Send + 'static,
    ) -> Result<R, ChannelGone> {
        let (answer, answered) = oneshot::channel();
        let slot = self.slot().ok_or(ChannelGone)?;
        let is_queued = slot.inform(Box::new(Look { look, answer }), 0);
        // An ended channel is not kept by who waits for it.
        drop(slot);
        if !is_queued {
            return Err(ChannelGone);
        }
        match answered.await.map_err(|_| ChannelGone)? {
            Ok(seen) => Ok(seen),
            Err(panic) => resume_unwind(panic),
        }
    }
}

struct Look<F, R> {
    look: F,
    answer: oneshot::Sender<std::thread::Result<R>>,
}

impl<S, C, F, R> Info<C, Context<S, C>> for Look<F, R>
where
    S: Socket,
    C: Channel<S>,
    F: FnOnce(&C) -> R + Send,
    R: Send,
{
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, _: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        let Look { look, answer } = *self;
        // Nobody waits any more: then nobody wanted to know.
        let _ = answer.send(catch_unwind(AssertUnwindSafe(|| look(channel))));
        Box::pin(async { noreply() })
    }

    fn name(&self) -> &'static str {
        "a look at its state"
    }
}
