//! The HTTP face of long polling: which request is what, who may, and in which order that is asked.
//!
//! GET with the token of a session polls it; any other GET opens a session, if the socket accepts. POST brings messages.
//! OPTIONS is a browser's question on behalf of another site's page.

use super::LongPoll;
use super::answer::{self, allow_other_sites};
use super::batch::Batch;
use super::places::TooMany;
use super::relay::Relay;
use super::session::{Polled, Published};
use super::ticket::Ticket;
use crate::mounted::{self, Mounted};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bennu_channels::{NotConnected, Params};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::time::timeout;

/// Where a client may put its session's token instead of into the URL.
const SESSION_TOKEN: &str = "x-phoenix-longpoll-token";

/// Where phoenix.js puts its `authToken` when it long polls.
const AUTH_TOKEN: &str = "x-phoenix-authtoken";

/// The long polling of one mount.
pub(crate) struct Service {
    mount: Arc<Mounted>,
    options: LongPoll,
    relay: Arc<Relay>,
}

impl Service {
    pub(crate) fn new(mount: Arc<Mounted>, options: LongPoll) -> Arc<Self> {
        let relay = Relay::of(mount.socket.endpoint());
        Arc::new(Service { mount, options, relay })
    }

    /// Answers a request at a mount's `/longpoll`.
    pub(crate) async fn serve(self: Arc<Self>, request: Request) -> Response {
        self.relay.started();
        match self.answer(request).await {
            Ok(mut response) => {
                if self.options.cors {
                    allow_other_sites(&mut response);
                }
                response
            }
            Err(response) => response,
        }
    }

    /// `Err` where no page of another site needs to know.
    async fn answer(&self, request: Request) -> Result<Response, Response> {
        if !self.mount.allows_origin(request.headers()) {
            return Ok(answer::status(answer::FORBIDDEN));
        }
        let params = Params::from_query(request.uri().query().unwrap_or_default())
            .map_err(|error| answer::malformed(error.to_string()))?;
        match *request.method() {
            Method::GET => self.poll(params, request).await,
            Method::POST => self.publish(&params, request).await,
            Method::OPTIONS => Ok(answer::preflight(request.headers())),
            _ => Ok(answer::malformed("a client that long polls sends GET and POST")),
        }
    }

    async fn poll(&self, params: Params, request: Request) -> Result<Response, Response> {
        if let Some(ticket) = self.ticket(&params, request.headers()) {
            let polled = if self.relay.is_here(&ticket) {
                match self.relay.sessions.get(&ticket.session) {
                    Some(session) => session.poll(ticket.received, self.options.window).await,
                    None => Polled::Gone(None),
                }
            } else {
                tokio::select! {
                    // A node that leaves asks nobody: its question could come behind the client's next poll, through another
                    // node, and take over from that.
                    biased;
                    // What that node answers is not heard any more: it says it again to the next poll, even if it is what it
                    // says first.
                    () = self.mount.socket.endpoint().leaving() => Polled::Nothing(Some(ticket.received.unwrap_or(0))),
                    polled = self.relay.poll(&ticket, self.options.window) => polled,
                }
            };
            match polled {
                Polled::Messages(received, batch) => {
                    return self.polled(answer::MESSAGES, ticket, received, &batch, None);
                }
                Polled::Nothing(received) => {
                    return self.polled(answer::NO_MESSAGES, ticket, received, &Batch::default(), None);
                }
                Polled::Gone(reason) => return self.open(params, request, reason).await,
            }
        }
        self.open(params, request, None).await
    }

    /// What a poll brought, with the ticket for the next one.
    fn polled(
        &self,
        status: u16,
        ticket: Ticket,
        received: Option<u64>,
        batch: &Batch,
        reason: Option<&str>,
    ) -> Result<Response, Response> {
        let ticket = Ticket { received, ..ticket };
        let token = ticket.sign(self.mount.socket.endpoint().secret()).ok_or_else(node_name_too_long)?;
        Ok(answer::poll(status, &token, batch, reason))
    }

    /// Opens a session; `reason` says why the one before is over, where there was one and something to say.
    async fn open(&self, params: Params, mut request: Request, reason: Option<String>) -> Result<Response, Response> {
        let endpoint = self.mount.socket.endpoint();
        let draining = || answer::overloaded(StatusCode::SERVICE_UNAVAILABLE, "shutting down");
        if endpoint.is_draining() {
            return Ok(draining());
        }
        let Ok(serializer) = self.mount.negotiate(&params) else { return Ok(answer::status(answer::FORBIDDEN)) };
        let peer = mounted::peer(&request).map(|peer| peer.ip());
        let place = match self.relay.sessions.places.reserve(peer, &self.options) {
            Ok(place) => place,
            Err(error) => {
                tracing::warn!(%error, "refused connection");
                let http = match error {
                    TooMany::OnThisNode { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    TooMany::OfThisPeer { .. } => StatusCode::TOO_MANY_REQUESTS,
                };
                return Ok(answer::overloaded(http, &error.to_string()));
            }
        };
        let auth_token = header(request.headers(), AUTH_TOKEN);
        if auth_token.is_some() && !self.mount.options.auth_token {
            self.mount.has_unread_token();
        }
        let auth_token = auth_token.filter(|_| self.mount.options.auth_token);
        let connected = match self.mount.connect(params, &mut request, auth_token).await {
            Ok(connected) => connected,
            Err(NotConnected::Refused(_)) => return Ok(answer::status(answer::FORBIDDEN)),
            Err(NotConnected::Crashed) => return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Err(NotConnected::Crowded(crowded)) => {
                return Ok(answer::overloaded(StatusCode::SERVICE_UNAVAILABLE, &crowded.to_string()));
            }
        };
        // The drain tells those that are connected when it begins; `connect` may have taken its time.
        if endpoint.is_draining() {
            return Ok(draining());
        }
        let session = self.relay.sessions.open(place, connected, serializer, self.options.idle());
        let ticket = Ticket { node: endpoint.pubsub().node().to_string(), session, received: None };
        self.polled(answer::GONE, ticket, None, &Batch::default(), reason.as_deref())
    }

    async fn publish(&self, params: &Params, request: Request) -> Result<Response, Response> {
        let Some(ticket) = self.ticket(params, request.headers()) else { return Ok(answer::status(answer::GONE)) };
        let ndjson = is_ndjson(request.headers());
        let published = if self.relay.is_here(&ticket) {
            match self.relay.sessions.get(&ticket.session) {
                Some(session) => {
                    let posting = session.posting().await;
                    let body = self.body(request).await?;
                    posting.publish(&body, ndjson).await
                }
                None => Published::Gone,
            }
        } else {
            let body = self.body(request).await?;
            self.relay.publish(&ticket, body, ndjson).await
        };
        Ok(match published {
            Published::Done => answer::status(answer::MESSAGES),
            Published::Bad(reason) => answer::refused(answer::BAD_REQUEST, &reason),
            Published::Gone => answer::status(answer::GONE),
        })
    }

    /// A POST's body, which must come as a whole within the time that a client may be silent.
    async fn body(&self, request: Request) -> Result<String, Response> {
        let limit = self.options.max_body_bytes;
        let read = timeout(self.mount.options.timeout, read_body(request.into_body(), limit)).await;
        let body = read
            .map_err(|_| answer::malformed("the body did not arrive in time"))?
            .map_err(|error| answer::malformed(format!("the body broke off: {error}")))?
            .ok_or_else(|| answer::malformed(format!("the body is longer than {limit} bytes, which is the limit")))?;
        String::from_utf8(body).map_err(|_| answer::malformed("the body is not UTF-8"))
    }

    fn ticket(&self, params: &Params, headers: &HeaderMap) -> Option<Ticket> {
        let token = header(headers, SESSION_TOKEN).or_else(|| params.get("token").map(str::to_owned))?;
        Ticket::verify(&token, self.mount.socket.endpoint().secret(), self.options.crypto_max_age)
    }
}

/// Reads a body of up to `limit` bytes; `None` when it is longer. As much again is read and dropped: a client that is
/// still sending would otherwise lose the response with its connection.
async fn read_body(mut body: Body, limit: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut kept = Vec::new();
    let mut length = 0usize;
    while length <= limit.saturating_mul(2)
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= limit {
            kept.extend_from_slice(&data);
        } else {
            kept = Vec::new();
        }
    }
    Ok((length <= limit).then_some(kept))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `application/x-ndjson`, whatever parameters follow.
fn is_ndjson(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-ndjson")
}

fn node_name_too_long() -> Response {
    tracing::error!("this node's name is too long to stand in a token");
    answer::overloaded(StatusCode::INTERNAL_SERVER_ERROR, "no token could be made")
}
