//! What the nodes meet by: a broker on the switch, or each other.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use test_network::Switch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Redis,
    Nats,
}

impl Engine {
    /// Starts what the nodes need beside themselves.
    pub(crate) fn start(self, switch: &Switch) -> Broker {
        Broker { engine: self, child: Some(self.command(switch).spawn().expect("the broker's program")) }
    }

    /// The broker's program, where one is needed and not installed.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let program = self.program();
        let installed = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let missing = !installed.iter().any(|directory| Path::new(directory).join(program).exists());
        missing.then_some("its broker is not installed")
    }

    /// Where a node finds the others.
    pub(crate) fn url(self) -> String {
        match self {
            Engine::Redis => format!("redis://{}:6379", Switch::ADDRESS),
            Engine::Nats => format!("nats://{}:4222", Switch::ADDRESS),
        }
    }

    fn program(self) -> &'static str {
        match self {
            Engine::Redis => "redis-server",
            Engine::Nats => "nats-server",
        }
    }

    fn command(self, switch: &Switch) -> Command {
        let mut command = switch.command(self.program());
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match self {
            Engine::Redis => command.args(["--protected-mode", "no", "--appendonly", "no", "--save", ""]),
            Engine::Nats => &mut command,
        };
        command
    }
}

/// A broker that runs; killed when dropped.
pub(crate) struct Broker {
    engine: Engine,
    child: Option<Child>,
}

impl Broker {
    /// No goodbye, and all connections are reset.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("its status");
        }
    }

    pub(crate) fn start_again(&mut self, switch: &Switch) {
        self.child = Some(self.engine.command(switch).spawn().expect("the broker's program"));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
