//! A switch and its hosts.

use crate::Namespace;
use crate::ip;
use std::net::Ipv4Addr;
use std::process::Command;

/// A switch. It is a host too: servers for all hosts may run on it.
pub struct Switch {
    namespace: Namespace,
    hosts: u8,
}

/// A host with one cable to its switch.
pub struct Host {
    namespace: Namespace,
    switch: String,
    number: u8,
}

impl Switch {
    /// The address of the switch itself.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 254);

    /// Creates a switch without hosts.
    ///
    /// # Panics
    /// When `ip` cannot create it; see [`crate::unavailable`].
    pub fn new() -> Self {
        let namespace = Namespace::new("s");
        let name = namespace.name();
        ip(&format!("-n {name} link add switch type bridge"));
        ip(&format!("-n {name} address add {}/24 dev switch", Switch::ADDRESS));
        ip(&format!("-n {name} link set switch up"));
        Switch { namespace, hosts: 0 }
    }

    /// Adds a host, of at most 200.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn host(&mut self) -> Host {
        self.hosts += 1;
        let host =
            Host { namespace: Namespace::new("h"), switch: self.namespace.name().to_owned(), number: self.hosts };
        let (switch, name, number) = (&host.switch, host.namespace.name(), host.number);
        ip(&format!("-n {switch} link add port{number} type veth peer name cable netns {name}"));
        ip(&format!("-n {switch} link set port{number} master switch"));
        ip(&format!("-n {name} address add {}/24 dev cable", host.address()));
        ip(&format!("-n {name} link set cable up"));
        host.plug();
        host
    }

    /// Returns a command on the switch.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }
}

impl Default for Switch {
    fn default() -> Self {
        Switch::new()
    }
}

impl Host {
    /// Returns the host's address.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, 0, self.number)
    }

    /// Returns a command on the host.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Unplugs the cable: packets are lost, and neither side receives an error.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn unplug(&self) {
        ip(&format!("-n {} link set port{} down", self.switch, self.number));
    }

    /// Plugs the cable in again.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn plug(&self) {
        ip(&format!("-n {} link set port{} up", self.switch, self.number));
    }

    /// Drops the packets to one other host, and thereby its answers too.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn block(&self, other: &Host) {
        ip(&format!("-n {} route add blackhole {}/32", self.namespace.name(), other.address()));
    }

    /// Ends [`Host::block`].
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn unblock(&self, other: &Host) {
        ip(&format!("-n {} route del blackhole {}/32", self.namespace.name(), other.address()));
    }
}
