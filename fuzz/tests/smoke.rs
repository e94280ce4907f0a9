//! A short and reproducible run of every fuzz target, with noise and with mutated messages.

use bennu_fuzz::client::client;
use bennu_fuzz::serializer::{v1, v2};
use bennu_fuzz::websocket::websocket;

/// A small generator (xorshift). It needs no dependency and returns the same bytes in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u8
    }

    fn below(&mut self, limit: usize) -> usize {
        let number = u32::from_le_bytes([self.next(), self.next(), self.next(), self.next()]);
        number as usize % limit.max(1)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most);
        (0..len).map(|_| self.next()).collect()
    }

    /// Makes one to four changes: a byte is replaced, removed, inserted or flipped in one bit, or the end of another
    /// seed is appended.
    fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(6) {
                0 if !data.is_empty() => data[at] = self.next(),
                1 if !data.is_empty() => {
                    data.remove(at);
                }
                2 if !data.is_empty() => data[at] ^= 1 << self.below(8),
                3 => data.insert(at, br#"{}[]",:\ntu0e1-"#[self.below(15)]),
                4 => {
                    data.truncate(at);
                    data.extend_from_slice(&other[self.below(other.len())..]);
                }
                _ => data.insert(at, self.next()),
            }
        }
        data
    }
}

const V1: [&[u8]; 6] = [
    br#"{"topic":"ping","event":"phx_join","payload":{},"ref":"1"}"#,
    br#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":null}"#,
    br#"{"event":"ping","join_ref":"9","payload":{"a":[1,2.5e3,null]},"ref":7,"topic":"ping","extra":1}"#,
    br#"{"topic":5,"event":{"a":1},"payload":"\u00e9\ud83d\ude00\u0000\/","ref":{"b":2}}"#,
    br#" {"topic":"a\"b\\","event":"\n","payload":[],"ref":"x\"y","join_ref":null} "#,
    b"{\"topic\":\"\xc3\xa9\",\"event\":\"e\",\"payload\":\"\xf0\x9f\x98\x80\",\"ref\":\"1\"}",
];

const V2: [&[u8]; 9] = [
    br#"["1","1","ping","phx_join",{}]"#,
    br#"[null,"1","phoenix","heartbeat",{}]"#,
    br#"["1",{"a":1},"ping","echo",{"b":1,"a":[1,2.5e3,null],"b":3}]"#,
    br#"[true,false,[],5,"\u00e9\ud83d\ude00\u0000\/"]"#,
    br#" [ "x\"y" , "" , "a\\b" , "\n" , null , "extra" , 7 ] "#,
    b"\x00\x01\x01\x07\x0612bench:1binary\x01\x02\x00\xff",
    b"\x00\x00\x01\x07\x091phoenixheartbeat{}",
    b"\x00\x01\x01\x07\x061\xffbench:1binary\x01",
    b"\x00\x00\x00\x00\x00",
];

const CLIENT: [&[u8]; 6] = [
    br#"["1","2","ping","phx_reply",{"status":"ok","response":{"ping":"pong"}}]"#,
    br#"[null,null,"ping","said",{"a":[1,2.5e3,null]}]"#,
    br#"["1","1","ping","phx_error",{"reason":"channel_crash"}]"#,
    b"\x00\x01\x07\x061bench:1pushed\x01\x02\x00\xff",
    b"\x01\x01\x01\x07\x0212bench:1ok\x01",
    b"\x02\x07\x06bench:1bin_msg\xff",
];

fn run(target: fn(&[u8]), seeds: &[&[u8]], inputs: usize) {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for seed in seeds {
        target(seed);
    }
    for _ in 0..inputs {
        target(&noise.bytes(300));
        let (seed, other) = (seeds[noise.below(seeds.len())], seeds[noise.below(seeds.len())]);
        target(&noise.mutate(seed, other));
    }
}

#[test]
fn the_invariants_of_the_clients_decoder_hold() {
    run(client, &CLIENT, 10_000);
}

#[test]
fn the_invariants_of_the_serializer_v1_hold() {
    run(v1, &V1, 10_000);
}

#[test]
fn the_invariants_of_the_serializer_v2_hold() {
    run(v2, &V2, 10_000);
}

#[test]
fn the_invariants_of_the_websocket_decoder_hold() {
    let seeds: [&[u8]; 6] = [
        // Limit, extension and reads; then "Hello" in one frame, "Hello" in two frames around a ping, and a close.
        b"\xff\x0f\x00\x03\x05\x07\x09\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        b"\xff\x0f\x00\x00\x00\x00\x00\x01\x83\0\0\0\0Hel\x89\x80\0\0\0\0\x80\x82\0\0\0\0lo",
        b"\xff\x0f\x01\x10\x10\x10\x10\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x10\x00\x03\x01\x01\x01\x01\x88\x82\0\0\0\0\x03\xe8",
        // The same frames of a server, decoded by a client.
        b"\xff\x0f\xff\x03\x05\x07\x09\x81\x05Hello",
        b"\xff\x0f\xff\x00\x00\x00\x00\x01\x03Hel\x89\x00\x80\x02lo\x88\x02\x03\xf4",
    ];
    run(websocket, &seeds, 3_000);
}
