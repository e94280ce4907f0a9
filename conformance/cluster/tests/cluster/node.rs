//! A node's process on a host.

use crate::BOUND;
use serde_json::{Value, json};
use std::process::Stdio;
use test_network::Host;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    wishes: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Node {
    pub(crate) fn start(host: &Host, name: &str, url: &str) -> Self {
        let mut command = Command::from(host.command(env!("CARGO_BIN_EXE_cluster-node")));
        command.args([name, url]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the node's program");
        let wishes = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        Node { child, wishes, answers }
    }

    pub(crate) async fn track(&mut self, key: &str) {
        assert_eq!(self.ask(&format!("track {key}")).await, json!(true));
    }

    pub(crate) async fn untrack(&mut self, key: &str) {
        assert_eq!(self.ask(&format!("untrack {key}")).await, json!(true));
    }

    /// Sees that it lists exactly these within the bound.
    pub(crate) async fn lists(&mut self, keys: &[&str]) {
        let listed = self.ask(&format!("list {} {}", BOUND.as_secs(), keys.join(" "))).await;
        assert_eq!(listed, json!(keys));
    }

    /// Says goodbye and ends.
    pub(crate) async fn leave(mut self) {
        assert_eq!(self.ask("leave").await, json!(true));
        assert!(self.child.wait().await.expect("its status").success());
    }

    /// Ends it without a word.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    async fn ask(&mut self, wish: &str) -> Value {
        self.wishes.write_all(format!("{wish}\n").as_bytes()).await.expect("it reads");
        let answer = timeout(BOUND * 2, self.answers.next_line()).await.expect("an answer in time");
        serde_json::from_str(&answer.expect("text").expect("it runs")).expect("JSON")
    }
}
