//! The telemetry of the channels layer: `tracing` events at Phoenix's levels, and `metrics` instruments.
//!
//! docs/telemetry.md lists all instruments, `bennu_telemetry::INSTRUMENTS` has them as a table. Instruments are looked
//! up once and then kept: a socket type's at its mount, a channel type's at its route, an endpoint's at its first use.
//!
//! Labels are type names of the application, so that their values are bounded. Levels: connect, join and drain at info,
//! messages at debug, pushes at trace, crashes at error. User code runs in spans of the same names and levels:
//! `connect` (`socket`), `join` (`topic`, `channel`), `handle_in` (with `event`). A drain is one span too.

use bennu_protocol::Payload;
use compact_str::CompactString;
use std::fmt;
use std::time::Duration;

/// The callback in which a channel crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Callback {
    Join,
    Joined,
    HandleIn(CompactString),
    HandleOut(CompactString),
    HandleInfo(&'static str),
    Task,
    Terminate,
    Drop,
    Mailbox,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Callback::Join => f.write_str("join"),
            Callback::Joined => f.write_str("joined"),
            Callback::HandleIn(event) => write!(f, "handle_in({event:?})"),
            Callback::HandleOut(event) => write!(f, "handle_out({event:?})"),
            Callback::HandleInfo(message) => write!(f, "handle_info({message})"),
            Callback::Task => f.write_str("task"),
            Callback::Terminate => f.write_str("terminate"),
            Callback::Drop => f.write_str("drop"),
            Callback::Mailbox => f.write_str("mailbox"),
        }
    }
}

/// Returns the last part of a type's path: `PingChannel` for `app::PingChannel`.
pub(crate) fn short_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(full)
}

/// The text in place of a secret parameter's value, as in Phoenix.
pub(crate) const FILTERED: &str = "[FILTERED]";

/// Parameters without their secrets, for the log.
pub(crate) struct Filtered<'a, T> {
    pub(crate) value: &'a T,
    pub(crate) names: &'a [String],
}

impl<T> Filtered<'_, T> {
    pub(crate) fn is_sensitive(&self, key: &str) -> bool {
        self.names.iter().any(|name| key.contains(name.as_str()))
    }
}

impl fmt::Debug for Filtered<'_, Payload> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longer payloads are no log line.
        const LONGEST: usize = 4096;
        if self.value.len() > LONGEST {
            return write!(f, "<{} bytes>", self.value.len());
        }
        match self.value.parse::<serde_json::Value>() {
            Ok(mut json) => {
                self.censor(&mut json);
                write!(f, "{json}")
            }
            // Text that is not JSON cannot be filtered.
            Err(_) => write!(f, "<{} bytes>", self.value.len()),
        }
    }
}

impl<T> Filtered<'_, T> {
    fn censor(&self, json: &mut serde_json::Value) {
        match json {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    if self.is_sensitive(key) { *value = FILTERED.into() } else { self.censor(value) }
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.censor(item)),
            _ => {}
        }
    }
}

/// The instruments of one socket type, looked up when it is mounted: install a recorder before.
pub(crate) struct SocketInstruments {
    socket: &'static str,
    connects: [metrics::Counter; 3],
    pub(crate) messages_in: metrics::Counter,
    pub(crate) messages_out: metrics::Counter,
}

impl SocketInstruments {
    pub(crate) fn of<S>() -> Self {
        let socket = short_name::<S>();
        let connects = |result| metrics::counter!("bennu.socket.connects", "socket" => socket, "result" => result);
        SocketInstruments {
            socket,
            connects: [connects("ok"), connects("refused"), connects("crashed")],
            messages_in: metrics::counter!("bennu.socket.messages_in", "socket" => socket),
            messages_out: metrics::counter!("bennu.socket.messages_out", "socket" => socket),
        }
    }

    /// Makes the span around `connect`.
    pub(crate) fn connect_span(&self) -> tracing::Span {
        tracing::info_span!("connect", socket = self.socket)
    }

    pub(crate) fn connected(&self, parameters: &dyn fmt::Debug, took: Duration, result: Result<(), &dyn fmt::Display>) {
        let socket = self.socket;
        match result {
            Ok(()) => {
                self.connects[Verdict::Ok as usize].increment(1);
                tracing::info!(socket, ?took, ?parameters, "connected");
            }
            Err(refusal) => {
                self.connects[Verdict::Refused as usize].increment(1);
                tracing::info!(socket, ?took, ?parameters, %refusal, "refused connection");
            }
        }
    }

    pub(crate) fn connect_crashed(&self, what: &str) {
        self.connects[Verdict::Crashed as usize].increment(1);
        tracing::error!(socket = self.socket, what, "connect panicked");
    }
}

/// The instruments of one endpoint, looked up at their first use.
pub(crate) struct EndpointInstruments {
    pub(crate) connected: metrics::Gauge,
    pub(crate) broadcasts: metrics::Counter,
}

impl EndpointInstruments {
    pub(crate) fn new() -> Self {
        EndpointInstruments {
            connected: metrics::gauge!("bennu.socket.connected"),
            broadcasts: metrics::counter!("bennu.broadcast.sent"),
        }
    }
}

/// The instruments of one channel type, looked up when its route is made: install a recorder before.
pub(crate) struct Instruments {
    channel: &'static str,
    joined: metrics::Gauge,
    joins: [metrics::Counter; 3],
    join_duration: metrics::Histogram,
    handle_in_duration: metrics::Histogram,
    task_limits: metrics::Counter,
    crashes: metrics::Counter,
}

/// The answer to a connect or a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Refused,
    Crashed,
}

impl Instruments {
    pub(crate) fn of<C>() -> Self {
        let channel = short_name::<C>();
        let joins = |result| metrics::counter!("bennu.channel.joins", "channel" => channel, "result" => result);
        Instruments {
            channel,
            joined: metrics::gauge!("bennu.channel.joined", "channel" => channel),
            joins: [joins("ok"), joins("refused"), joins("crashed")],
            join_duration: metrics::histogram!("bennu.channel.join_duration", "channel" => channel),
            handle_in_duration: metrics::histogram!("bennu.channel.handle_in_duration", "channel" => channel),
            task_limits: metrics::counter!("bennu.channel.task_limits", "channel" => channel),
            crashes: metrics::counter!("bennu.channel.crashes", "channel" => channel),
        }
    }

    /// Makes the span around `join`.
    pub(crate) fn join_span(&self, topic: &str) -> tracing::Span {
        tracing::info_span!("join", topic, channel = self.channel)
    }

    pub(crate) fn join(&self, topic: &str, params: &Payload, filter: &[String], took: Duration, result: Verdict) {
        self.joins[result as usize].increment(1);
        self.join_duration.record(took.as_secs_f64());
        let parameters = Filtered { value: params, names: filter };
        if result == Verdict::Ok {
            self.joined.increment(1);
            tracing::info!(topic, channel = self.channel, ?took, ?parameters, "joined");
        } else {
            tracing::info!(topic, channel = self.channel, ?took, ?parameters, ?result, "not joined");
        }
    }

    /// Warns of a join that has not returned for long.
    pub(crate) fn join_hangs(&self, topic: &str, after: Duration) {
        tracing::warn!(
            topic,
            channel = self.channel,
            ?after,
            "join has not returned yet; clients give up after 10 s and join again"
        );
    }

    /// Makes the span around `handle_in`.
    pub(crate) fn message(&self, topic: &str, event: &str, payload: &Payload, filter: &[String]) -> tracing::Span {
        let parameters = Filtered { value: payload, names: filter };
        tracing::debug!(topic, channel = self.channel, event, ?parameters, "handle_in");
        tracing::debug_span!("handle_in", topic, channel = self.channel, event)
    }

    pub(crate) fn handled(&self, took: Duration) {
        self.handle_in_duration.record(took.as_secs_f64());
    }

    /// Counts a channel that takes no message until one of its tasks ends.
    pub(crate) fn task_limit(&self) {
        self.task_limits.increment(1);
    }

    pub(crate) fn crashed(&self, topic: &str, callback: &Callback, why: &str) {
        self.crashes.increment(1);
        tracing::error!(topic, channel = self.channel, %callback, why, "channel crashed");
    }

    pub(crate) fn ended(&self) {
        self.joined.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sensitive_values_are_filtered_at_every_depth() {
        let names = ["password".to_owned(), "token".to_owned()];
        let payload =
            Payload::json(&json!({ "list": [{ "auth_token": 1 }], "user": { "name": "n", "password": "x" } }));
        let shown = format!("{:?}", Filtered { value: &payload, names: &names });
        assert_eq!(shown, r#"{"list":[{"auth_token":"[FILTERED]"}],"user":{"name":"n","password":"[FILTERED]"}}"#);
    }
}
