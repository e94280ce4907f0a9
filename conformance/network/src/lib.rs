//! Networks for tests: Linux network namespaces as hosts, which are connected to one switch by cables that can be
//! unplugged.
//!
//! The crate owns its namespaces: dropping one removes it with its devices and cables. It needs root and the program
//! `ip`. [`unavailable`] returns the missing requirement, and a test then calls [`skip`]. Invariant: a program in a
//! namespace reaches no other network.

mod namespace;
mod switch;

pub use namespace::Namespace;
pub use switch::{Host, Switch};

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Returns the requirement that is missing on this machine, if any.
pub fn unavailable() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        Some("network namespaces need root")
    } else if !succeeds("ip", &["-V"]) {
        Some("the program ip is not installed")
    } else if !can_create_namespaces() {
        Some("the system does not allow network namespaces")
    } else {
        None
    }
}

/// Reports a skipped test and the cause on standard error.
///
/// # Panics
/// When standard error is closed.
pub fn skip(test: &str, why: &str) {
    // The macro `eprintln` would not do: the test runner captures its output when the test passes.
    std::io::stderr().write_all(format!("SKIPPED {test}: {why}\n").as_bytes()).expect("standard error is open");
}

/// Returns whether a program is installed and succeeds with its arguments.
pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Tried once, since tests run in parallel.
fn can_create_namespaces() -> bool {
    static RESULT: OnceLock<bool> = OnceLock::new();
    *RESULT.get_or_init(|| {
        let name = format!("bennu-{}-try", std::process::id());
        succeeds("ip", &["netns", "add", &name]) && succeeds("ip", &["netns", "del", &name])
    })
}

/// Runs `ip`, which must succeed.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("the program ip is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
