//! The socket of a user, the channel of one auction, and the task that ends auctions.

use crate::store::{self, Auction, Store};
use bennu::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// The purpose of this application's tokens.
pub(crate) const SALT: &str = "auction user";

/// How long a client waits between two bids.
const BID_EVERY: Duration = Duration::from_secs(1);

/// The user who has signed in, from the token.
#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) is_auctioneer: bool,
}

pub(crate) struct UserSocket(pub(crate) User);

impl Socket for UserSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        let user: User = request.verify(SALT, request.auth_token()?, Token::ONE_DAY)?;
        match request.state().ban_of(&user.name).await? {
            // The client stops. Any other refusal would make it try again for ever.
            Some(reason) => Err(Refusal::stop(format!("banned: {reason}"))),
            None => Ok(UserSocket(user)),
        }
    }

    fn id(&self) -> Option<String> {
        Some(format!("user:{}", self.0.name))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("auction:{id}");
    }
}

/// One client in the room of one auction.
pub(crate) struct RoomChannel {
    id: i64,
    /// The best bid that this client has seen.
    best: i64,
    next_bid: Instant,
}

#[derive(Serialize, Deserialize)]
struct Bid {
    bidder: String,
    amount: i64,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

/// Why a bid is not taken: the client gets it as it is.
#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
enum BidError {
    TooLowOrTooLate,
    TooFast { retry_in_ms: u128 },
}

impl Channel<UserSocket> for RoomChannel {
    const INTERCEPT: &'static [&'static str] = &["bid"];

    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<UserSocket, Self>) -> Joined<Self> {
        let id = ctx.topic_part("id")?;
        let auction = ctx.state().auction(id).await?.ok_or(json!({ "reason": "no_such_auction" })).or_reply()?;
        accept_with(RoomChannel { id, best: auction.best, next_bid: Instant::now() }, &auction)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Handled {
        match event {
            "bid" => self.bid(payload.parse()?, ctx).await,
            "end" | "ban" if !ctx.socket.0.is_auctioneer => refuse(json!({ "reason": "not_allowed" })),
            "end" => {
                end(ctx.state(), ctx.endpoint(), Some(self.id)).await?;
                reply_ok(json!({}))
            }
            "ban" => {
                let Ban { name, reason } = payload.parse()?;
                ctx.state().ban(&name, &reason).await?;
                ctx.endpoint().disconnect(&format!("user:{name}"))?;
                reply_ok(json!({}))
            }
            _ => unhandled(event),
        }
    }

    /// Only `bid` comes here. A bid that the join's reply held already is not shown again.
    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Flow {
        let Bid { bidder, amount } = payload.parse()?;
        if amount > self.best {
            self.best = amount;
            ctx.push(event, json!({ "bidder": bidder, "amount": amount, "mine": bidder == ctx.socket.0.name }))?;
        }
        noreply()
    }
}

impl RoomChannel {
    async fn bid(&mut self, amount: i64, ctx: &Context<UserSocket, Self>) -> Handled {
        let wait = self.next_bid.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            return refuse(&BidError::TooFast { retry_in_ms: wait.as_millis() });
        }
        self.next_bid = Instant::now() + BID_EVERY;
        let bidder = ctx.socket.0.name.clone();
        let mut turn = ctx.state().turn().await?;
        store::bid(&mut turn, self.id, &bidder, amount).await?.ok_or(BidError::TooLowOrTooLate).or_reply()?;
        ctx.broadcast("bid", &Bid { bidder, amount })?;
        reply_ok(json!({}))
    }
}

/// Ends one auction, or all that are due, and broadcasts it in their rooms.
pub(crate) async fn end(store: &Store, endpoint: &Endpoint, only: Option<i64>) -> Result<(), Crash> {
    let mut turn = store.turn().await?;
    for Auction { id, best, bidder, .. } in store::end(&mut turn, only).await? {
        endpoint.broadcast(&format!("auction:{id}"), "ended", json!({ "best": best, "bidder": bidder }))?;
    }
    Ok(())
}

pub(crate) async fn close_when_due(store: Store, endpoint: Endpoint) {
    loop {
        if let Err(error) = end(&store, &endpoint, None).await {
            tracing::error!(%error, "could not end the auctions that are over, trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
