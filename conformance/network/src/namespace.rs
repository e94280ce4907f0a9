//! One network namespace.

use crate::{ip, runs};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A network namespace; gone when dropped. Its loopback is up.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with `label` in its name.
    ///
    /// # Panics
    /// When `ip` cannot make it; see [`crate::missing`].
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace { name: format!("bennu-{}-{count}{label}", std::process::id()) };
        ip(&format!("netns add {}", namespace.name));
        ip(&format!("-n {} link set lo up", namespace.name));
        namespace
    }

    /// How `ip` calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program in it: `ip` becomes the program, so its process is the child.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        runs("ip", &["netns", "del", &self.name]);
    }
}
