//! The output of a program whose `main` returns the error of a mistake at startup: the text of the error, and nothing
//! else.
//!
//! This test is a program of its own: with the variable `MISTAKE` it makes that mistake, as an application would.
//! Without the variable it runs itself once for each mistake.

use bennu::prelude::*;
use std::env;
use std::error::Error;
use std::net::TcpListener;
use std::process::Command;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }
}

/// Defines sockets that differ only in their topic pattern.
macro_rules! sockets {
    ($($socket:ident: $pattern:literal),+) => {$(
        struct $socket;

        impl Socket for $socket {
            type State = ();

            async fn connect(_request: Connect) -> Result<Self, Refusal> {
                Ok($socket)
            }

            fn channels(router: &mut ChannelRouter<Self>) {
                router.channel::<Room>($pattern);
            }
        }
    )+};
}

sockets!(Right: "room:{id}", Splat: "ro*m", Brace: "room:{id", Twice: "{id}:{id}");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(mistake) = env::var("MISTAKE") else {
        each_mistake_prints_its_text();
        return Ok(());
    };
    let endpoint = Endpoint::new(Secret::from_env("SECRET_KEY_BASE")?);
    let app = axum::Router::<()>::new().merge(match mistake.as_str() {
        "splat" => bennu::socket::<Splat>("/socket").router(&endpoint)?,
        "brace" => bennu::socket::<Brace>("/socket").router(&endpoint)?,
        "part twice" => bennu::socket::<Twice>("/socket").router(&endpoint)?,
        "path" => bennu::socket::<Right>("socket").router(&endpoint)?,
        "origin" => bennu::socket::<Right>("/socket")
            .check_origin(bennu::CheckOrigin::list(["example.com"])?)
            .router(&endpoint)?,
        "path twice" => {
            let first = bennu::socket::<Right>("/socket").router(&endpoint)?;
            first.merge(bennu::socket::<Right>("/socket").router(&endpoint)?)
        }
        _ => bennu::socket::<Right>("/socket").router(&endpoint)?,
    });
    let port = env::var("PORT")?.parse()?;
    let listener = bennu::bind(([127, 0, 0, 1], port))?;
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(std::future::ready(())).await?;
    Ok(())
}

fn each_mistake_prints_its_text() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let long = Some("a secret of more than twenty bytes");
    let mistakes = [
        (
            "no secret",
            None,
            "the environment variable SECRET_KEY_BASE is not set, it must hold the secret that tokens are signed with; \
             make one with: export SECRET_KEY_BASE=$(openssl rand -hex 32)",
        ),
        (
            "short secret",
            Some("short"),
            "the secret in the environment variable SECRET_KEY_BASE has 5 bytes, it must have at least 20; \
             make one with: export SECRET_KEY_BASE=$(openssl rand -hex 32)",
        ),
        ("splat", long, r#"topic pattern "ro*m": `*` may only be the last character, found at byte 2 of 4"#),
        (
            "brace",
            long,
            r#"topic pattern "room:{id": "{id" is not a part; write "{name}" between colons, as in "room:{id}""#,
        ),
        ("part twice", long, r#"topic pattern "{id}:{id}": two parts are named "id"; give each a name of its own"#),
        (
            "path",
            long,
            "could not mount a socket at \"socket\": the path must begin with \"/\" and must not end with \"/\", and a \
             variable part is written \"{name}\"",
        ),
        (
            "path twice",
            long,
            "could not mount a socket at \"/socket\": this endpoint already has a socket at that path; mount each \
             socket at a path of its own",
        ),
        (
            "origin",
            long,
            "check_origin entry \"example.com\" is not an origin; write \"//host\", \"scheme://host\" or \
             \"scheme://host:port\"",
        ),
        (
            "port in use",
            long,
            &format!(
                "could not listen on 127.0.0.1:{port}: the port is in use; stop the program that uses it, or choose \
                 another port"
            ),
        ),
    ];
    for (mistake, secret, text) in mistakes {
        let mut program = Command::new(env::current_exe().expect("this program has a path"));
        program.env("MISTAKE", mistake).env("PORT", port.to_string()).env_remove("SECRET_KEY_BASE");
        if let Some(secret) = secret {
            program.env("SECRET_KEY_BASE", secret);
        }
        let output = program.output().expect("this program runs");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), printed.trim_end()),
            (Some(1), format!("Error: {text}").as_str()),
            "{mistake}"
        );
        println!("test {mistake} ... ok");
    }
}
