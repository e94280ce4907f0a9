//! Section 1: messages of all lengths at which the header changes its form.

use crate::play::{binary, echoed, play, text};

const LENS: [usize; 8] = [0, 125, 126, 127, 128, 65535, 65536, 65536];

#[test]
fn a_text_message_of_any_length_is_echoed() {
    play(LENS.iter().zip(1..).map(|(len, n)| echoed(format!("1.1.{n}"), text("*".repeat(*len)))));
}

#[test]
fn a_binary_message_of_any_length_is_echoed() {
    play(LENS.iter().zip(1..).map(|(len, n)| echoed(format!("1.2.{n}"), binary([0xFE].repeat(*len)))));
}
