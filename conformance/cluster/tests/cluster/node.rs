//! The process of a node on a host.

use crate::BOUND;
use serde_json::{Value, json};
use std::process::Stdio;
use test_network::Host;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A running node; dropping it kills it.
pub(crate) struct Node {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Node {
    pub(crate) fn start(host: &Host, name: &str, url: &str) -> Self {
        let mut command = Command::from(host.command(env!("CARGO_BIN_EXE_cluster-node")));
        command.args([name, url]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the node's program starts");
        let commands = child.stdin.take().expect("standard streams are pipes");
        let answers = BufReader::new(child.stdout.take().expect("standard streams are pipes")).lines();
        Node { child, commands, answers }
    }

    pub(crate) async fn track(&mut self, key: &str) {
        assert_eq!(self.request(&format!("track {key}")).await, json!(true));
    }

    pub(crate) async fn untrack(&mut self, key: &str) {
        assert_eq!(self.request(&format!("untrack {key}")).await, json!(true));
    }

    /// Checks that the node lists exactly these keys within the bound.
    pub(crate) async fn lists(&mut self, keys: &[&str]) {
        let listed = self.request(&format!("list {} {}", BOUND.as_secs(), keys.join(" "))).await;
        assert_eq!(listed, json!(keys));
    }

    /// Leaves the cluster, and waits for the end of the process.
    pub(crate) async fn leave(mut self) {
        assert_eq!(self.request("leave").await, json!(true));
        assert!(self.child.wait().await.expect("the process has a status").success());
    }

    /// Kills the process without a goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the process runs");
    }

    async fn request(&mut self, command: &str) -> Value {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("the node reads commands");
        let answer = timeout(BOUND * 2, self.answers.next_line()).await.expect("an answer within the limit");
        serde_json::from_str(&answer.expect("the answer is UTF-8").expect("the process runs"))
            .expect("the answer is JSON")
    }
}
