//! The cases of the Autobahn TestSuite, as tests of our own.
//!
//! The suite plays a client against an echo server and looks at what comes back. Here [`play`] is both:
//! it masks and sends what a case says, runs the decoder with an echo policy behind it, and reads the
//! server's frames. Every case is played three times: whole, byte by byte, and chopped. The ids are the
//! suite's; a module is one of its sections.

mod closing;
mod compression;
mod fragmentation;
mod framing;
mod limits;
mod pings;
mod play;
mod reserved;
mod utf8;
