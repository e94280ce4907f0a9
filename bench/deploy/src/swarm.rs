//! The official clients: one Node process, which reports each of them by lines.

use crate::board::Board;
use crate::{Error, Plan, ROOM};
use std::convert::Infallible;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Runs them; they end when this is dropped.
///
/// # Errors
/// When their process does not start, or ends.
pub(crate) async fn run(plan: &Plan, url: &str, board: &Board) -> Result<Infallible, Error> {
    if plan.official == 0 {
        return std::future::pending().await;
    }
    let first = plan.websocket + plan.long_poll;
    let mut command = Command::new("node");
    command.current_dir(&plan.clients).arg("swarm.mjs").arg(url);
    command.args([first, plan.official, ROOM].map(|number| number.to_string()));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("its output is piped")?).lines();
    while let Some(line) = lines.next_line().await? {
        board.report(&line)?;
    }
    let status = child.wait().await?;
    Err(format!("the official clients ended, {status}; `npm ci` in {} installs them", plan.clients.display()).into())
}
