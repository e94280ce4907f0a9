//! The options of a mount: set by [`crate::mount`], obeyed by the transports.

use crate::longpoll::LongPoll;
use crate::origin::CheckOrigin;
use crate::session_cookie::SessionCookie;
use axum::response::Response;
use bennu_channels::Refusal;
use bennu_channels::protocol::Serializer;
use std::sync::Arc;
use std::time::Duration;

/// Everything about a mount that does not depend on its socket's type.
pub(crate) struct Options {
    pub(crate) timeout: Duration,
    pub(crate) max_frame_size: usize,
    pub(crate) compress: bool,
    pub(crate) check_origin: CheckOrigin,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) auth_token: bool,
    pub(crate) serializers: Vec<Serializer>,
    pub(crate) session: Option<SessionCookie>,
    pub(crate) error_handler: Option<ErrorHandler>,
    pub(crate) longpoll: LongPoll,
}

pub(crate) type ErrorHandler = Arc<dyn Fn(&Refusal) -> Response + Send + Sync>;
