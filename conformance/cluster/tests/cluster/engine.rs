//! What the nodes meet by: a broker on the switch, or each other.

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
    /// Starts what the nodes need beside themselves.
    pub(crate) fn start(self, switch: &Switch) -> Broker {
        Broker { engine: self, child: self.run(switch) }
    }

    /// The broker's program, where one is needed and not installed.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let program = self.program()?;
        let installed = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let missing = !installed.iter().any(|directory| Path::new(directory).join(program).exists());
        missing.then_some("its broker is not installed")
    }

    /// Where a node finds the others; without a broker it is told of the first.
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
        Some(command.spawn().expect("the broker's program"))
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
        self.child = self.engine.run(switch);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
