//! The cases of the Autobahn TestSuite, as Rust tests.
//!
//! The suite is a client of an echo server and compares the server's frames. Here [`play`] has both sides: it masks and
//! sends the frames of a case, runs the decoder of an echo server, and reads the server's frames. Every case runs three
//! times: in one read, in reads of one byte, and in reads of several sizes. The ids are those of the suite, and each
//! module has one or more of its sections.

mod closing;
mod compression;
mod fragmentation;
mod framing;
mod limits;
mod play;
mod utf8;
