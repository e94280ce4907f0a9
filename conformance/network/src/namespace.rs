//! One network namespace.

use crate::{ip, succeeds};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A network namespace with a loopback interface. Dropping it removes it.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates a namespace with `label` in its name.
    ///
    /// # Panics
    /// When `ip` cannot create it; see [`crate::unavailable`].
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace { name: format!("bennu-{}-{count}{label}", std::process::id()) };
        ip(&format!("netns add {}", namespace.name));
        ip(&format!("-n {} link set lo up", namespace.name));
        namespace
    }

    /// Returns its name for `ip`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a command in the namespace. `ip` replaces itself with the program, so the child is the program's
    /// process.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        succeeds("ip", &["netns", "del", &self.name]);
    }
}
