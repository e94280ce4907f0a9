//! Plays a case: sends the client's frames to an echo server, and returns the server's frames.

use bennu_websocket::deflate::deflated_frame;
use bennu_websocket::{CloseCode, Decoder, DecoderLimits, DeflateParameters, Incoming, Opcode, ProtocolError, encode};

/// The longest wire in bytes that is read byte by byte. A longer one takes too long in a debug build, and covers no
/// further case.
const MOST_BYTE_BY_BYTE: usize = 20_000;

/// A frame of a client, valid or not.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) first_byte: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn sent(opcode: u8, payload: impl AsRef<[u8]>) -> Sent {
    Sent { first_byte: 0x80 | opcode, payload: payload.as_ref().to_vec() }
}

pub(crate) fn continuation(payload: impl AsRef<[u8]>) -> Sent {
    sent(0x0, payload)
}

pub(crate) fn text(payload: impl AsRef<[u8]>) -> Sent {
    sent(0x1, payload)
}

pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Sent {
    sent(0x2, payload)
}

pub(crate) fn close(payload: impl AsRef<[u8]>) -> Sent {
    sent(0x8, payload)
}

pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Sent {
    sent(0x9, payload)
}

pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Sent {
    sent(0xA, payload)
}

impl Sent {
    /// Clears FIN: the frame is not the last of its message.
    pub(crate) fn more(mut self) -> Self {
        self.first_byte &= 0x7F;
        self
    }

    /// Sets reserved bits. RSV1 is 4.
    pub(crate) fn reserved(mut self, bits: u8) -> Self {
        self.first_byte |= bits << 4;
        self
    }

    pub(crate) fn wire(&self) -> Vec<u8> {
        let key = [0x1D, 0xC2, 0x93, 0x7A];
        let mut wire = encode::masked_frame(Opcode::Text, &self.payload, key);
        wire[0] = self.first_byte;
        wire
    }
}

/// Divides a message into fragments of `size` bytes.
pub(crate) fn fragmented(message: Sent, size: usize) -> Vec<Sent> {
    let mut frames: Vec<Sent> = message.payload.chunks(size).map(|chunk| continuation(chunk).more()).collect();
    if let Some(first) = frames.first_mut() {
        first.first_byte = message.first_byte & 0x7F;
    }
    if let Some(last) = frames.last_mut() {
        last.first_byte |= 0x80;
    }
    frames
}

/// A frame of the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) first_byte: u8,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.payload[..self.payload.len().min(40)];
        write!(f, "{:#x} with {} bytes {:02x?}", self.first_byte, self.payload.len(), shown)
    }
}

/// Returns the echo of a frame.
pub(crate) fn echo(sent: &Sent) -> Reply {
    Reply { first_byte: sent.first_byte | 0x80, payload: sent.payload.clone() }
}

pub(crate) fn ponged(payload: impl AsRef<[u8]>) -> Reply {
    echo(&pong(payload))
}

/// Returns the close frame of a connection that failed with this code.
pub(crate) fn failed(code: CloseCode) -> Reply {
    echo(&close(code.0.to_be_bytes()))
}

/// One case: its id in the suite, the frames of the client, and all expected frames of the server.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) sent: Vec<Sent>,
    pub(crate) expected: Vec<Reply>,
}

pub(crate) fn case(id: impl Into<String>, sent: impl Into<Vec<Sent>>, expected: impl Into<Vec<Reply>>) -> Case {
    Case { id: id.into(), sent: sent.into(), expected: expected.into() }
}

/// A case of one message, which must be echoed.
pub(crate) fn echoed(id: impl Into<String>, message: Sent) -> Case {
    let expected = echo(&message);
    case(id, [message], [expected])
}

/// A case in which the connection must fail before any reply.
pub(crate) fn fails(id: impl Into<String>, sent: impl Into<Vec<Sent>>, code: CloseCode) -> Case {
    case(id, sent, [failed(code)])
}

/// Plays all cases with the default limits, without compression.
pub(crate) fn play(cases: impl IntoIterator<Item = Case>) {
    play_with(DecoderLimits::default(), cases);
}

pub(crate) fn play_with(limits: DecoderLimits, cases: impl IntoIterator<Item = Case>) {
    for Case { id, sent, expected } in cases {
        let wire: Vec<u8> = sent.iter().flat_map(Sent::wire).collect();
        for (manner, reads) in manners(wire.len()) {
            let replies = converse(limits, None, &wire, &reads);
            assert!(replies == expected, "case {id}, {manner}: {replies:?} and not {expected:?}");
        }
    }
}

/// The ways to divide a wire of `len` bytes into reads. The sizes repeat to its end.
pub(crate) fn manners(len: usize) -> Vec<(&'static str, Vec<usize>)> {
    let mut manners = vec![("whole", vec![len.max(1)]), ("chopped", vec![997, 1, 13, 4096, 2, 61])];
    if len <= MOST_BYTE_BY_BYTE {
        manners.push(("byte by byte", vec![1]));
    }
    manners
}

/// Sends the wire to an echo server in these reads, and returns the server's frames.
pub(crate) fn converse(
    limits: DecoderLimits,
    extension: Option<&DeflateParameters>,
    wire: &[u8],
    reads: &[usize],
) -> Vec<Reply> {
    let mut server = EchoServer::new(limits, extension);
    let mut wire = wire.to_vec();
    let mut rest = wire.as_mut_slice();
    for read in reads.iter().cycle() {
        let (input, later) = rest.split_at_mut((*read).min(rest.len()));
        server.read(input);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    replies(&server.written)
}

/// A server that echoes data and close frames, replies to pings, and fails with the code of an error.
pub(crate) struct EchoServer {
    decoder: Decoder,
    window_bits: Option<u8>,
    pub(crate) written: Vec<u8>,
}

impl EchoServer {
    pub(crate) fn new(limits: DecoderLimits, extension: Option<&DeflateParameters>) -> Self {
        EchoServer {
            decoder: Decoder::new(limits, extension),
            window_bits: extension.map(DeflateParameters::server_window_bits),
            written: Vec::new(),
        }
    }

    /// Decodes the bytes of one read, and writes the replies.
    pub(crate) fn read(&mut self, mut input: &mut [u8]) {
        let data = |opcode, payload: &[u8]| match self.window_bits {
            Some(bits) => deflated_frame(opcode, payload, bits),
            None => encode::frame(opcode, payload),
        };
        loop {
            let message = match self.decoder.decode(input) {
                Ok((None, _)) => return,
                Ok((Some(message), rest)) => {
                    input = rest;
                    message
                }
                Err(error) => {
                    self.written.extend(fail(error));
                    return;
                }
            };
            self.written.extend(match message {
                Incoming::Text(text) => data(Opcode::Text, text.as_bytes()),
                Incoming::Binary(bytes) => data(Opcode::Binary, &bytes),
                Incoming::Ping(payload) => encode::pong(&payload),
                Incoming::Pong(_) => continue,
                Incoming::Close(close) => encode::close_frame(close.code, &close.reason),
            });
        }
    }
}

fn fail(error: ProtocolError) -> Vec<u8> {
    encode::close_frame(error.close_code(), "").to_vec()
}

/// Reads unmasked frames with a second implementation of the header.
pub(crate) fn replies(mut wire: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let [first_byte, len, rest @ ..] = wire {
        let (len, rest) = match *len {
            126 => {
                let (len, rest) = rest.split_first_chunk().expect("a 16-bit length");
                (usize::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk().expect("a 64-bit length");
                (usize::try_from(u64::from_be_bytes(*len)).expect("in memory"), rest)
            }
            len => (usize::from(len), rest),
        };
        let (payload, rest) = rest.split_at(len);
        replies.push(Reply { first_byte: *first_byte, payload: payload.to_vec() });
        wire = rest;
    }
    assert!(wire.is_empty(), "the server writes whole frames");
    replies
}
