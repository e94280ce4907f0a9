//! The commands to the running server: the requests of the control socket, and their execution.
//!
//! `command` sends a [`Request`], and `serve` calls [`execute`] for each that arrives, in a task of its own that ends
//! with the control socket or when its client disconnects.

use crate::channel::DedupeChannel;
use crate::pipeline::{Producer, Push};
use crate::socket::SALT;
use app_service::control::Response;
use bennu::{Endpoint, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// A command to the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Broadcasts an event. The payload is JSON text and arrives unchanged.
    Broadcast { topic: String, event: String, payload: String },
    /// Broadcasts each number `times` times on `dupe`.
    Dupe { numbers: Vec<i64>, times: u32 },
    /// Sends data to a user through the pipeline, once, or several times with a number in the data. The data is JSON
    /// text.
    Push { user_id: u64, data: String, times: Option<u32>, work_ms: u64, timed: bool },
    /// Increments a counter, with tags as `key:value`.
    Increment { name: String, tags: Vec<String> },
    /// Lists the other nodes of the cluster.
    Nodes,
    /// Signs a token for a user.
    Sign { user_id: u64 },
    /// Closes the connections of one socket id.
    Disconnect { socket_id: String },
}

/// Executes a command, and returns the text to print.
///
/// # Errors
/// The text of the error, when the command cannot be executed.
pub(crate) async fn execute(request: Request, endpoint: &Endpoint, producer: &Producer) -> Response {
    tracing::debug!(?request, "command");
    match request {
        Request::Broadcast { topic, event, payload } => {
            let payload = Payload::from_json_text(&payload).map_err(text)?;
            endpoint.broadcast(&topic, &event, payload).map_err(text)?;
        }
        Request::Dupe { numbers, times } => {
            DedupeChannel::broadcast(endpoint, &numbers, times).await.map_err(text)?;
        }
        Request::Push { user_id, data, times, work_ms, timed } => {
            let data: Map<String, Value> =
                serde_json::from_str(&data).map_err(|error| format!("the data is not a JSON object: {error}"))?;
            let work = Duration::from_millis(work_ms);
            for n in 1..=times.unwrap_or(1) {
                let mut data = data.clone();
                if times.is_some() {
                    data.insert("n".to_owned(), n.into());
                }
                let push = Push { user_id, data: data.into(), work };
                if timed { producer.push_timed(push).await } else { producer.push(push).await }.map_err(text)?;
            }
        }
        Request::Increment { name, tags } => {
            let pair = |tag: String| match tag.split_once(':') {
                Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(format!("{tag:?} is not a tag: write it as key:value")),
            };
            let tags: Vec<_> = tags.into_iter().map(pair).collect::<Result<_, _>>()?;
            metrics::counter!(name, &tags).increment(1);
        }
        Request::Nodes => {
            let (own, mut nodes) = (endpoint.pubsub().node(), endpoint.pubsub().nodes());
            nodes.retain(|node| node != own);
            let names: Vec<_> = nodes.iter().map(|node| node.as_str()).collect();
            return Ok(if names.is_empty() { "no other nodes".to_owned() } else { names.join("\n") });
        }
        Request::Sign { user_id } => return endpoint.sign(SALT, &user_id).map_err(text),
        Request::Disconnect { socket_id } => endpoint.disconnect(&socket_id).map_err(text)?,
    }
    Ok("ok".to_owned())
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}
