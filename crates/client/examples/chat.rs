//! A conversation with HelloSockets. Start it with `bin/run hello_sockets`, then run
//! `cargo run -p bennu-client --example chat`. The argument is the URL of another server.

use bennu_client::Client;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://localhost:4000/socket".to_owned());
    let client = Client::connect(url).await?;
    let mut room = client.join("ping", json!({})).await?;
    for phrase in ["hello", "how are you?"] {
        let reply: Value = room.push("ping", json!({ "ack_phrase": phrase })).await?.parse()?;
        println!("> {phrase}\n< {}", reply["ping"]);
    }
    while let Some(message) = room.next().await {
        println!("{}: {:?}", message.event, message.payload);
    }
    Ok(())
}
