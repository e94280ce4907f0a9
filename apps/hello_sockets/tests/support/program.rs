//! The program, as a user runs it.

use test_program::App;

pub(crate) const HELLO: App = App {
    program: env!("CARGO_BIN_EXE_hello_sockets"),
    package: "hello_sockets",
    name: "HelloSockets",
    variables: &[("SECRET_KEY_BASE", "the same secret for a restarted server")],
};
