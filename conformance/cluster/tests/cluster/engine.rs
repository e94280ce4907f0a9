//! The engines: a broker on the switch, or connections between the nodes.

use std::path::Path;
use std::process::{Child, Stdio};
use test_network::{Host, Switch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Redis,
    Nats,
    Zenoh,
}

impl Engine {
    /// Starts the broker, if the engine has one.
    pub(crate) fn start(self, switch: &Switch) -> Broker {
        Broker { engine: self, child: self.run(switch) }
    }

    /// Returns the cause for a skip, if a broker is needed and not installed.
    pub(crate) fn unavailable(self) -> Option<&'static str> {
        let program = self.program()?;
        let installed = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let missing = !installed.iter().any(|directory| Path::new(directory).join(program).exists());
        missing.then_some("its broker is not installed")
    }

    /// Returns the URL of a node. Without a broker, it contains the address of the first node.
    pub(crate) fn url(self, host: &Host, first: &Host) -> String {
        let (own, first) = (host.address(), first.address());
        match self {
            Engine::Zenoh if own == first => format!("zenoh://{own}:7447"),
            Engine::Zenoh => format!("zenoh://{own}:7447?connect={first}:7447"),
            Engine::Redis => format!("redis://{}:6379", Switch::ADDRESS),
            Engine::Nats => format!("nats://{}:4222", Switch::ADDRESS),
        }
    }

    fn program(self) -> Option<&'static str> {
        match self {
            Engine::Redis => Some("redis-server"),
            Engine::Nats => Some("nats-server"),
            Engine::Zenoh => None,
        }
    }

    fn run(self, switch: &Switch) -> Option<Child> {
        let mut command = switch.command(self.program()?);
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if self == Engine::Redis {
            command.args(["--protected-mode", "no", "--appendonly", "no", "--save", ""]);
        }
        Some(command.spawn().expect("the broker's program starts"))
    }
}

/// A running broker; dropping it kills it.
pub(crate) struct Broker {
    engine: Engine,
    child: Option<Child>,
}

impl Broker {
    /// Kills the broker without a goodbye; all connections are reset.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process runs");
            child.wait().expect("the process has a status");
        }
    }

    pub(crate) fn restart(&mut self, switch: &Switch) {
        self.child = self.engine.run(switch);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
