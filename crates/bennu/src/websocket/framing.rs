//! How encoded messages become WebSocket frames: plain, or compressed with one of the windows that clients ask for.
//!
//! Each is a static, so that a broadcast is framed once for all connections that share it.

use bennu_channels::Framing;
use bennu_channels::protocol::FrameKind;
use bennu_websocket::deflate::deflated_frame;
use bennu_websocket::{Negotiated, Opcode, encode};

static PLAIN: Framing = Framing { name: "websocket", frame: |kind, bytes| encode::frame(opcode(kind), bytes) };

macro_rules! deflated {
    ($($bits:literal)*) => {
        [$(Framing {
            name: concat!("websocket deflate ", $bits),
            frame: |kind, bytes| deflated_frame(opcode(kind), bytes, $bits),
        }),*]
    };
}

/// By window: 2^9 to 2^15 bytes.
static DEFLATED: [Framing; 7] = deflated!(9 10 11 12 13 14 15);

/// The framing of a connection that negotiated this.
pub(crate) fn of(extension: Option<&Negotiated>) -> &'static Framing {
    match extension {
        None => &PLAIN,
        Some(deflate) => {
            let bits = usize::from(deflate.server_window_bits());
            DEFLATED.get(bits.wrapping_sub(9)).unwrap_or(&DEFLATED[6])
        }
    }
}

fn opcode(kind: FrameKind) -> Opcode {
    match kind {
        FrameKind::Text => Opcode::Text,
        FrameKind::Binary => Opcode::Binary,
    }
}
