//! `wss://` and `https://`: the client trusts a private authority only when it is configured.
#![cfg(feature = "tls")]

use axum::Router;
use bennu::prelude::*;
use bennu_client::{Client, ConnectError, Transport};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use std::sync::Arc;

struct Open;

impl Socket for Open {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        Ok(Open)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Echo>("echo");
    }
}

struct Echo;

impl Channel<Open> for Echo {
    async fn join(_: &str, _: Payload, _: &mut Context<Open, Self>) -> Joined<Self> {
        accept(Echo)
    }

    async fn handle_in(&mut self, _: &str, payload: Payload, _: &mut Context<Open, Self>) -> Handled {
        reply_ok(payload)
    }
}

/// Starts a server with a self-signed certificate for `localhost`; returns its port and the certificate.
async fn serve() -> (u16, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let endpoint = bennu::Endpoint::new(bennu::token::Secret::new("a secret of at least twenty bytes").unwrap());
    let socket = bennu::socket::<Open>("/socket").check_origin(bennu::CheckOrigin::any()).longpoll(true);
    let app = Router::new().merge(socket.router(&endpoint).unwrap());
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(bennu::serve(listener, app, &endpoint).tls(config).into_future());
    (port, certificate)
}

fn trusting(certificate: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[tokio::test]
async fn messages_of_any_size_pass_over_tls_with_either_transport() {
    let (port, certificate) = serve().await;
    for (scheme, transport) in [("wss", Transport::WebSocket), ("https", Transport::LongPoll)] {
        let builder = Client::builder(format!("{scheme}://localhost:{port}/socket")).transport(transport);
        let client = builder.tls_config(trusting(certificate.clone())).connect().await.unwrap();
        let room = client.join("echo", json!({})).await.unwrap();
        for size in [0, 1000, 100_000, 1_000_000] {
            let sent = json!({ "d": "d".repeat(size) });
            let reply: Value = room.push("echo", sent.clone()).await.unwrap().parse().unwrap();
            assert_eq!(reply, sent);
        }
        client.disconnect().await;
    }
}

#[tokio::test]
async fn a_certificate_without_a_trusted_authority_is_rejected() {
    let (port, certificate) = serve().await;
    let refused = Client::connect(format!("wss://localhost:{port}/socket")).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Tls { .. }), "{refused}");
    // The certificate is not valid for another name either.
    let builder = Client::builder(format!("wss://127.0.0.1:{port}/socket")).tls_config(trusting(certificate));
    let refused = builder.connect().await.unwrap_err();
    assert!(matches!(refused, ConnectError::Tls { .. }), "{refused}");
}
