//! Hosts on one switch.

use crate::Namespace;
use crate::ip;
use std::net::Ipv4Addr;
use std::process::Command;

/// A switch, which is a host too: what all others talk to may run on it.
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

    /// A switch without hosts.
    ///
    /// # Panics
    /// When `ip` cannot make it; see [`crate::missing`].
    pub fn new() -> Self {
        let namespace = Namespace::new("s");
        let name = namespace.name();
        ip(&format!("-n {name} link add switch type bridge"));
        ip(&format!("-n {name} address add {}/24 dev switch", Switch::ADDRESS));
        ip(&format!("-n {name} link set switch up"));
        Switch { namespace, hosts: 0 }
    }

    /// One more host, of at most 200.
    ///
    /// # Panics
    /// When `ip` cannot make it.
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

    /// A program that runs on the switch.
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
    /// Where others reach it.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, 0, self.number)
    }

    /// A program that runs on it.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Pulls the cable: what is sent is lost, and nobody is told.
    ///
    /// # Panics
    /// When `ip` cannot.
    pub fn unplug(&self) {
        ip(&format!("-n {} link set port{} down", self.switch, self.number));
    }

    /// Puts the cable back in.
    ///
    /// # Panics
    /// When `ip` cannot.
    pub fn plug(&self) {
        ip(&format!("-n {} link set port{} up", self.switch, self.number));
    }

    /// Loses what it sends to one other host, and the other's answers with it.
    ///
    /// # Panics
    /// When `ip` cannot.
    pub fn cut(&self, other: &Host) {
        ip(&format!("-n {} route add blackhole {}/32", self.namespace.name(), other.address()));
    }

    /// Undoes [`Host::cut`].
    ///
    /// # Panics
    /// When `ip` cannot.
    pub fn mend(&self, other: &Host) {
        ip(&format!("-n {} route del blackhole {}/32", self.namespace.name(), other.address()));
    }
}
