//! The page's own socket and channel: who may look gets what was told lately, and from then on each snapshot by the
//! fastlane.

use crate::access::Access;
use crate::histogram;
use crate::ticker::{Ticker, Viewer};
use bennu::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What the page's socket and channel need, found at the endpoint.
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) ticker: Option<Arc<Ticker>>,
}

impl Shared {
    /// Of an endpoint that no dashboard was mounted at.
    fn none() -> Arc<Self> {
        Arc::new(Shared { access: Access::nobody(), ticker: None })
    }

    fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(Shared::none)
    }
}

pub(crate) struct DashboardSocket;

impl Socket for DashboardSocket {
    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let shared = Shared::of(&request.endpoint);
        match shared.access.admits(request.param("token").ok(), &request.info.headers) {
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
    async fn join(topic: &str, _params: Payload, ctx: &mut Context<DashboardSocket, Self>) -> Result<Self, JoinError> {
        let endpoint = ctx.endpoint().clone();
        let shared = Shared::of(&endpoint);
        let Some(ticker) = shared.ticker.as_ref().filter(|ticker| ticker.topic() == topic) else {
            return refuse(json!({ "reason": "there is no such dashboard" }));
        };
        let viewer = ticker.watch(&endpoint);
        let node = endpoint.pubsub().node().to_string();
        let welcome = Welcome { node, bounds: histogram::bounds(), told: ticker.told() };
        let welcome = serde_json::value::to_raw_value(&welcome)?;
        ctx.join_reply(Payload::from_json_text(welcome.get())?);
        Ok(DashboardChannel { _viewer: viewer })
    }
}
