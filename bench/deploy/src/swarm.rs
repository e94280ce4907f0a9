//! The official clients: one Node process, which reports each of them by lines.

use crate::board::Board;
use crate::{Error, Plan, ROOM};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Starts them; they end when what is returned is dropped.
pub(crate) fn start(plan: &Plan, url: &str, board: &Arc<Board>) -> Result<JoinSet<()>, Error> {
    let mut reports = JoinSet::new();
    if plan.official == 0 {
        return Ok(reports);
    }
    let first = plan.websocket + plan.long_poll;
    let mut command = Command::new("node");
    command.current_dir(&plan.clients).arg("swarm.mjs").arg(url);
    command.args([first, plan.official, ROOM].map(|number| number.to_string()));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("its output is piped")?).lines();
    let board = board.clone();
    reports.spawn(async move {
        let _child = child;
        while let Ok(Some(line)) = lines.next_line().await {
            board.report(&line).expect("swarm.mjs speaks as board.rs hears");
        }
    });
    Ok(reports)
}
