//! The socket and the channel of the dashboard's page.
//!
//! The page joins the channel once. The join's reply contains the recent snapshots; each later snapshot is a broadcast
//! that takes the fastlane. While a channel runs, it holds a subscription, which keeps the publisher's task running.

use crate::access::Access;
use crate::publisher::{SnapshotPublisher, Subscription};
use bennu::prelude::*;
use bennu_telemetry::BUCKET_BOUNDS;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The state that the page and its socket share.
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) publisher: Arc<SnapshotPublisher>,
}

pub(crate) struct DashboardSocket;

impl Socket for DashboardSocket {
    type State = Arc<Shared>;

    async fn connect(request: Connect<Arc<Shared>>) -> Result<Self, Refusal> {
        match request.state().access.admits(request.param("token").ok(), &request.info.headers) {
            true => Ok(DashboardSocket),
            false => Err(Refusal::because("access to this dashboard is denied")),
        }
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<DashboardChannel>("bennu:dashboard:*");
    }
}

pub(crate) struct DashboardChannel {
    _subscription: Subscription,
}

/// The reply to a join.
#[derive(Serialize)]
struct Welcome<'a> {
    node: String,
    /// Upper bounds of the histograms' buckets, in seconds. A quantile that the page shows is the upper bound of its bucket: at
    /// most 28 % too high, and 10 s for all longer times.
    bounds: &'a [f64],
    /// Snapshots of the last five minutes, the oldest first.
    history: Vec<Box<RawValue>>,
}

impl Channel<DashboardSocket> for DashboardChannel {
    async fn join(topic: &str, _params: Payload, ctx: &mut Context<DashboardSocket, Self>) -> Joined<Self> {
        let publisher = &ctx.state().publisher;
        if publisher.topic() != topic {
            return refuse(json!({ "reason": "there is no dashboard of this topic" }));
        }
        let subscription = publisher.subscribe(ctx.endpoint());
        let node = ctx.endpoint().pubsub().node().to_string();
        let welcome = Welcome { node, bounds: &BUCKET_BOUNDS, history: publisher.history() };
        accept_with(DashboardChannel { _subscription: subscription }, &welcome)
    }
}
