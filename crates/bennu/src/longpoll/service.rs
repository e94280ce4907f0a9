//! The HTTP interface of long polling: the methods, the checks before each, and their order.
//!
//! [`crate::router`] creates one [`Service`] for each mount and passes it the requests at `/longpoll`. A GET with the
//! token of a session polls that session. Any other GET opens a session, if the socket accepts the client. A POST
//! publishes messages. OPTIONS is the CORS preflight of a browser for a page of another site.

use super::batch::Batch;
use super::quota::QuotaExceeded;
use super::relay::Relay;
use super::response::{self, allow_other_sites};
use super::session::{PollOutcome, PublishOutcome};
use super::session_token::SessionToken;
use crate::mount::LongPoll;
use crate::mount::mounted_socket::{MountedSocket, peer};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bennu_channels::Params;
use bennu_channels::transport::NotConnected;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::time::timeout;

/// The header in which a client may send its session token instead of in the URL.
const SESSION_TOKEN: &str = "x-phoenix-longpoll-token";

/// The header in which phoenix.js sends its `authToken` when it long polls.
const AUTH_TOKEN: &str = "x-phoenix-authtoken";

/// The long polling of one mount.
pub(crate) struct Service {
    mount: Arc<MountedSocket>,
    options: LongPoll,
    relay: Arc<Relay>,
}

impl Service {
    pub(crate) fn new(mount: Arc<MountedSocket>, options: LongPoll) -> Arc<Self> {
        let relay = Relay::of(mount.socket.endpoint());
        Arc::new(Service { mount, options, relay })
    }

    /// Serves a request at a mount's `/longpoll`.
    pub(crate) async fn serve(self: Arc<Self>, request: Request) -> Response {
        self.relay.set_runtime();
        match self.respond(request).await {
            Ok(mut response) => {
                if self.options.cors {
                    allow_other_sites(&mut response);
                }
                response
            }
            Err(response) => response,
        }
    }

    /// Returns the response in `Ok` if pages of other sites may read it, and in `Err` otherwise.
    async fn respond(&self, request: Request) -> Result<Response, Response> {
        if !self.mount.allows_origin(request.headers()) {
            return Ok(response::status(response::FORBIDDEN));
        }
        let params = Params::from_query(request.uri().query().unwrap_or_default())
            .map_err(|error| response::malformed(error.to_string()))?;
        match *request.method() {
            Method::GET => self.poll(params, request).await,
            Method::POST => self.publish(&params, request).await,
            Method::OPTIONS => Ok(response::preflight(request.headers())),
            _ => Ok(response::malformed("long polling accepts only GET, POST and OPTIONS")),
        }
    }

    async fn poll(&self, params: Params, request: Request) -> Result<Response, Response> {
        let Some(token) = self.session_token(&params, request.headers()) else {
            return self.open(params, request, None).await;
        };
        let outcome = if self.relay.is_local(&token) {
            match self.relay.sessions.get(&token.session) {
                Some(session) => session.poll(token.received, self.options.window).await,
                None => PollOutcome::Gone(None),
            }
        } else {
            tokio::select! {
                // A node that leaves sends no more polls to other nodes: such a poll could arrive after the client's
                // next poll through another node, and replace it.
                biased;
                // The response to the poll under way is lost. The number of the client's own token, or 0 for the first
                // token, makes the other node send that batch again to the next poll, even if it is the first batch.
                () = self.mount.socket.endpoint().leaving() => {
                    PollOutcome::NoMessages(Some(token.received.unwrap_or(0)))
                }
                outcome = self.relay.poll(&token, self.options.window) => outcome,
            }
        };
        match outcome {
            PollOutcome::Messages(received, batch) => {
                self.poll_response(response::MESSAGES, SessionToken { received, ..token }, &batch, None)
            }
            PollOutcome::NoMessages(received) => {
                self.poll_response(response::NO_MESSAGES, SessionToken { received, ..token }, &Batch::default(), None)
            }
            PollOutcome::Gone(reason) => self.open(params, request, reason).await,
        }
    }

    /// Returns the response to a GET, with the token for the next poll.
    fn poll_response(
        &self,
        status: u16,
        token: SessionToken,
        batch: &Batch,
        reason: Option<&str>,
    ) -> Result<Response, Response> {
        let token = token.sign(self.mount.socket.endpoint().secret()).ok_or_else(node_name_too_long)?;
        Ok(response::poll(status, &token, batch, reason))
    }

    /// Opens a session. `reason` is the reason for the end of the client's previous session, if it had one with a text.
    async fn open(&self, params: Params, mut request: Request, reason: Option<String>) -> Result<Response, Response> {
        let endpoint = self.mount.socket.endpoint();
        let draining = || response::overloaded(StatusCode::SERVICE_UNAVAILABLE, "shutting down");
        if endpoint.is_draining() {
            return Ok(draining());
        }
        let Ok(serializer) = self.mount.negotiate(&params) else { return Ok(response::status(response::FORBIDDEN)) };
        let peer = peer(&request).map(|peer| peer.ip());
        let permit = match self.relay.sessions.quota.acquire(peer, &self.options) {
            Ok(permit) => permit,
            Err(error) => {
                tracing::warn!(%error, "refused connection");
                let http = match error {
                    QuotaExceeded::Node { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    QuotaExceeded::Peer { .. } => StatusCode::TOO_MANY_REQUESTS,
                };
                return Ok(response::overloaded(http, &error.to_string()));
            }
        };
        let auth_token = header(request.headers(), AUTH_TOKEN);
        if auth_token.is_some() && !self.mount.options.auth_token {
            self.mount.warn_of_unread_token();
        }
        let auth_token = auth_token.filter(|_| self.mount.options.auth_token);
        let connected = match self.mount.connect(params, &mut request, auth_token).await {
            Ok(connected) => connected,
            Err(NotConnected::Refused(_)) => return Ok(response::status(response::FORBIDDEN)),
            Err(NotConnected::Crashed) => return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Err(NotConnected::Overloaded(overloaded)) => {
                return Ok(response::overloaded(StatusCode::SERVICE_UNAVAILABLE, &overloaded.to_string()));
            }
        };
        // A drain closes the connections that exist when it begins; it may have begun during `connect`.
        if endpoint.is_draining() {
            return Ok(draining());
        }
        let session = self.relay.sessions.open(permit, connected, serializer, self.options.idle());
        let token = SessionToken { node: endpoint.pubsub().node().to_string(), session, received: None };
        self.poll_response(response::GONE, token, &Batch::default(), reason.as_deref())
    }

    async fn publish(&self, params: &Params, request: Request) -> Result<Response, Response> {
        let Some(token) = self.session_token(params, request.headers()) else {
            return Ok(response::status(response::GONE));
        };
        let ndjson = is_ndjson(request.headers());
        let outcome = if self.relay.is_local(&token) {
            match self.relay.sessions.get(&token.session) {
                Some(session) => {
                    let publisher = session.publisher().await;
                    let body = self.body(request).await?;
                    publisher.publish(&body, ndjson).await
                }
                None => PublishOutcome::Gone,
            }
        } else {
            let body = self.body(request).await?;
            self.relay.publish(&token, body, ndjson).await
        };
        Ok(match outcome {
            PublishOutcome::Published => response::status(response::MESSAGES),
            PublishOutcome::Invalid(reason) => response::refused(response::BAD_REQUEST, &reason),
            PublishOutcome::Gone => response::status(response::GONE),
        })
    }

    /// Reads the body of a POST, which must arrive completely within the mount's `timeout`.
    async fn body(&self, request: Request) -> Result<String, Response> {
        let (limit, time) = (self.options.max_body_bytes, self.mount.options.timeout);
        let body = timeout(time, read_body(request.into_body(), limit))
            .await
            .map_err(|_| response::malformed(format!("the body did not arrive within {time:?}")))?
            .map_err(|error| response::malformed(format!("could not read the body: {error}")))?
            .ok_or_else(|| response::malformed(format!("the body is longer than the limit of {limit} bytes")))?;
        String::from_utf8(body).map_err(|_| response::malformed("the body is not UTF-8"))
    }

    /// Returns the session token of a request, if it has a valid one.
    fn session_token(&self, params: &Params, headers: &HeaderMap) -> Option<SessionToken> {
        let token = header(headers, SESSION_TOKEN).or_else(|| params.get("token").map(str::to_owned))?;
        SessionToken::verify(&token, self.mount.socket.endpoint().secret(), self.options.crypto_max_age)
    }
}

/// Reads a body of up to `limit` bytes; returns `None` if it is longer. As many bytes again are read and dropped: a
/// client that is still sending would otherwise lose the response together with its connection.
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

/// Returns whether the content type is `application/x-ndjson`, with any parameters.
fn is_ndjson(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-ndjson")
}

fn node_name_too_long() -> Response {
    tracing::error!("could not create a session token: the name of this node is too long");
    response::overloaded(StatusCode::INTERNAL_SERVER_ERROR, "could not create a session token")
}
