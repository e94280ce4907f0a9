//! The adapter against a Redis server with TLS.

#![cfg(feature = "tls")]

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::process::Program;
use bennu_pubsub_cluster::conformance::tls_law::TlsServer;
use bennu_pubsub_redis::{Redis, TlsConfig};
use std::path::Path;

struct RedisServer;

bennu_pubsub_cluster::tls_suite!(RedisServer);

impl Program for RedisServer {
    const NAME: &'static str = "redis-server";
}

impl TlsServer for RedisServer {
    fn arguments(port: u16, certificate: &Path, key: &Path) -> Vec<String> {
        let (certificate, key) = (certificate.display(), key.display());
        let arguments = format!(
            "--port 0 --tls-port {port} --bind 127.0.0.1 --appendonly no --tls-cert-file {certificate} \
             --tls-key-file {key} --tls-ca-cert-file {certificate} --tls-auth-clients no --save"
        );
        arguments.split(' ').map(str::to_owned).chain([String::new()]).collect()
    }

    fn join(port: u16, tls: Option<TlsConfig>, name: &str) -> PubSub {
        let redis = Redis::new(&format!("rediss://localhost:{port}")).expect("the URL is valid");
        let redis = tls.into_iter().fold(redis, Redis::tls);
        PubSub::new(redis.join(NodeName::new(name)))
    }
}
