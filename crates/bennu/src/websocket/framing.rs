//! The framings: functions that convert an encoded message into a WebSocket frame, plain or compressed.
//!
//! [`super::driver`] selects the framing of a connection from its negotiated extension. Each framing is a static, so
//! that a broadcast is framed once for all connections with the same framing.

use bennu_channels::protocol::FrameKind;
use bennu_channels::transport::Framing;
use bennu_websocket::deflate::deflated_frame;
use bennu_websocket::{DeflateParameters, Opcode, encode};

static PLAIN: Framing = Framing { name: "websocket", frame: |kind, bytes| encode::frame(opcode(kind), bytes) };

macro_rules! deflated {
    ($($bits:literal)*) => {
        [$(Framing {
            name: concat!("websocket deflate ", $bits),
            frame: |kind, bytes| deflated_frame(opcode(kind), bytes, $bits),
        }),*]
    };
}

/// Compressed framings by the size of their window, 2^9 to 2^15 bytes.
static DEFLATED: [Framing; 7] = deflated!(9 10 11 12 13 14 15);

/// Returns the framing of a connection with this extension.
pub(crate) fn of(extension: Option<&DeflateParameters>) -> &'static Framing {
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
