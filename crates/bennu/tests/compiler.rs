//! The compiler's errors for common mistakes. The whole texts are recorded beside the programs in `compiler/`, and each names
//! the remedy within its first ten lines.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The version with which `compiler/*.stderr` were recorded. Other versions phrase the same errors differently.
const RECORDED_WITH: &str = "rustc 1.95.";

/// Each mistake, and the part of the text that names its remedy.
const FIXES: [(&str, &str); 12] = [
    ("reply_without_a_request", "write `.map_err(|error| error.to_string())?`"),
    ("error_that_borrows", "write `.map_err(|error| error.to_string())?` to crash with it"),
    ("handler_result", "expected `Result<Step, Crash>`"),
    ("handler_signature", "help: change the parameter type to match the trait"),
    ("join_not_accepted", "expected `Accepted<Room>`"),
    ("message_not_handled", "write `impl HandleInfo<S, Tick> for Room`"),
    ("payload_by_value", "is sent by reference, as `&value`"),
    ("payload_not_serializable", "a value with `#[derive(Serialize)]`"),
    ("state_lacks_a_part", "the trait `AsRef<Db>` is not implemented for `App`"),
    ("state_missing", "write `.with_state(..)` before this, with a value of type `App`"),
    ("state_not_named", "implement the missing item: `type State"),
    ("state_of_another_type", "expected `App`, found `&str`"),
];

#[test]
fn each_mistake_has_the_recorded_error() {
    let version = Command::new("rustc").arg("--version").output().expect("cargo runs rustc too").stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(RECORDED_WITH) {
        // Not `eprintln`, whose output libtest hides when a test passes.
        let skipped =
            format!("SKIPPED the compiler's errors: they were recorded with {RECORDED_WITH}x, not {version}\n");
        std::io::stderr().write_all(skipped.as_bytes()).expect("standard error");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compiler/*.rs");
}

#[test]
fn each_error_names_the_remedy_within_its_first_ten_lines() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compiler");
    for (mistake, fix) in FIXES {
        let text = fs::read_to_string(directory.join(mistake).with_extension("stderr")).expect(mistake);
        let beginning = text.lines().take(10).collect::<Vec<_>>().join("\n");
        assert!(beginning.contains(fix), "{mistake} does not name {fix:?} in its first ten lines:\n{beginning}");
    }
    let programs = fs::read_dir(directory).expect("the programs").filter_map(Result::ok);
    let programs = programs.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"));
    assert_eq!(programs.count(), FIXES.len(), "each program has its fix");
}
