//! A socket and channels whose events select their behaviour, and the text of a failed assertion.

use bennu_channels::prelude::*;
use bennu_testkit::prelude::*;
use futures::FutureExt;
use serde::Deserialize;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::time::Duration;

pub struct UserSocket {
    pub user: u64,
}

impl Socket for UserSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.param("user")? {
            "panic" => panic!("the test requires a panic"),
            "agent" => Ok(UserSocket { user: request.user_agent().map_or(0, str::len) as u64 }),
            user => Ok(UserSocket { user: user.parse()? }),
        }
    }

    fn id(&self) -> Option<String> {
        Some(format!("user:{}", self.user))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*").channel::<Other>("other");
    }
}

#[derive(Default)]
pub struct Room {
    /// The received events and infos.
    pub received: Vec<String>,
}

pub struct Tick(pub &'static str);

impl Channel<UserSocket> for Room {
    const INTERCEPT: &'static [&'static str] = &["intercepted"];

    async fn join(topic: &str, params: Payload, ctx: &mut Context<UserSocket, Self>) -> Joined<Self> {
        match topic {
            "room:closed" => return refuse(json!({ "reason": "closed" })),
            "room:never" => std::future::pending().await,
            "room:slow" => tokio::time::sleep(Duration::from_secs(3)).await,
            "room:broken" => _ = "not a number".parse::<u8>()?,
            _ => {}
        }
        let params: serde_json::Value = params.parse()?;
        accept_with(Room::default(), json!({ "user": ctx.socket.user, "params": params }))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Handled {
        self.received.push(event.to_owned());
        match event {
            "echo" => reply_ok(payload),
            "refuse" => reply_error(json!({ "reason": "no" })),
            "later" => reply("later", payload),
            "quiet" => noreply(),
            "push" => {
                ctx.push("pushed", payload)?;
                noreply()
            }
            "flood" => {
                for _ in 0..100 {
                    ctx.push("pushed", json!({ "text": "x".repeat(100_000) }))?;
                }
                noreply()
            }
            "broadcast" => {
                ctx.broadcast("said", payload)?;
                noreply()
            }
            "after" => {
                ctx.send_after(Duration::from_millis(payload.get("ms")?.unwrap_or(0)), Tick("timer"));
                noreply()
            }
            "hang" => std::future::pending().await,
            _ => unhandled(event),
        }
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Flow {
        self.received.push(event.to_owned());
        ctx.push("passed on", payload)?;
        noreply()
    }
}

impl HandleInfo<UserSocket, Tick> for Room {
    async fn handle_info(&mut self, tick: Tick, ctx: &mut Context<UserSocket, Self>) -> Flow {
        self.received.push(tick.0.to_owned());
        ctx.push("tick", json!({ "from": tick.0 }))?;
        noreply()
    }
}

/// A channel without `handle_info`.
pub struct Other;

impl Channel<UserSocket> for Other {
    async fn join(_: &str, _: Payload, _: &mut Context<UserSocket, Self>) -> Joined<Self> {
        accept(Other)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct Number {
    pub value: i64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Circle(f64),
    Square { side: f64 },
}

/// Returns the channel of a client in `room:1`.
pub async fn room() -> TestChannel<UserSocket> {
    ChannelTest::new().socket(UserSocket { user: 1 }).subscribe_and_join("room:1", json!({})).await.unwrap()
}

/// Makes the room push these numbers.
pub fn push_numbers(room: &TestChannel<UserSocket>, values: impl IntoIterator<Item = i64>) {
    for value in values {
        room.push("push", json!({ "value": value }));
    }
}

/// Returns the text of a failed assertion. Checks that its location is a test of this kit.
pub async fn failure_of(assertion: impl Future<Output = ()>) -> String {
    thread_local! {
        static FILE: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            FILE.set(panic.location().map(|location| location.file().to_owned()));
            usual(panic);
        }));
    });
    let panic = AssertUnwindSafe(assertion).catch_unwind().await.expect_err("the assertion fails");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a text");
    let file = FILE.take().expect("a panic has a location");
    // The panic of a macro is located in the test; the text of an awaited function contains the location.
    assert!(file.contains("tests/kit/") || text.contains("tests/kit/"), "{file}: {text}");
    text
}
