//! Networks that tests make: namespaces of Linux, as hosts that hang on one switch by cables that can be pulled.
//!
//! Owns what it makes: a namespace goes when it is dropped, and with it its devices and cables. Needs root and `ip`;
//! [`missing`] says what is not there, and a test then says by [`skip`] that it did not run. What runs in a namespace has no
//! way to any other network.

mod namespace;
mod switch;

pub use namespace::Namespace;
pub use switch::{Host, Switch};

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Why no networks can be made here, if so.
pub fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        Some("namespaces are root's to make")
    } else if !runs("ip", &["-V"]) {
        Some("there is no ip")
    } else if !makes_namespaces() {
        Some("this system lets nobody make namespaces")
    } else {
        None
    }
}

/// Says that a test does not run, and why, where whoever reads the report of the tests sees it.
///
/// # Panics
/// When standard error is closed.
pub fn skip(test: &str, why: &str) {
    // Not `eprintln`, which is kept from sight when a test passes.
    std::io::stderr().write_all(format!("SKIPPED {test}: {why}\n").as_bytes()).expect("standard error is open");
}

/// Whether a program is there and content with its arguments.
pub fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Tried once: tests run side by side.
fn makes_namespaces() -> bool {
    static MAKES: OnceLock<bool> = OnceLock::new();
    *MAKES.get_or_init(|| {
        let name = format!("bennu-{}-try", std::process::id());
        runs("ip", &["netns", "add", &name]) && runs("ip", &["netns", "del", &name])
    })
}

/// Runs `ip`, which must succeed.
fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("there is an ip");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}
