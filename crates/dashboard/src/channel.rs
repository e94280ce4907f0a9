//! The page's own socket and channel: who may look gets what was told lately, and from then on each snapshot by the
//! fastlane.

use crate::access::Access;
use crate::histogram;
use crate::ticker::{Ticker, Viewer};
use bennu::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The state of the page's socket, and of the page itself.
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) ticker: Arc<Ticker>,
}

pub(crate) struct DashboardSocket;

impl Socket for DashboardSocket {
    type State = Arc<Shared>;

    async fn connect(request: Connect<Arc<Shared>>) -> Result<Self, Refusal> {
        match request.state().access.admits(request.param("token").ok(), &request.info.headers) {
            true => Ok(DashboardSocket),
            false => Err(Refusal::because("this dashboard is not for everybody")),
        }
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<DashboardChannel>("bennu:dashboard:*");
    }
}

pub(crate) struct DashboardChannel {
    _viewer: Viewer,
}

#[derive(Serialize)]
struct Welcome<'a> {
    node: String,
    /// Upper bounds of the histograms' buckets, in seconds.
    bounds: &'a [f64],
    /// Snapshots of the last minutes.
    told: Vec<Box<RawValue>>,
}

impl Channel<DashboardSocket> for DashboardChannel {
    async fn join(topic: &str, _params: Payload, ctx: &mut Context<DashboardSocket, Self>) -> Joined<Self> {
        let ticker = &ctx.state().ticker;
        if ticker.topic() != topic {
            return refuse(json!({ "reason": "there is no such dashboard" }));
        }
        let viewer = ticker.watch(ctx.endpoint());
        let node = ctx.endpoint().pubsub().node().to_string();
        let welcome = Welcome { node, bounds: histogram::bounds(), told: ticker.told() };
        accept_with(DashboardChannel { _viewer: viewer }, &welcome)
    }
}
