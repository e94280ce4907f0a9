//! The paths of mounts, and the errors of mounts that are not valid.

use crate::support::channel::{Open, Room};
use crate::support::client::Client;
use crate::support::endpoint;
use crate::support::watch::Log;
use crate::{RecordingSocket, connect_info, serve};
use bennu::Mount;
use bennu::error::MountError;
use bennu::prelude::*;

#[tokio::test]
async fn the_variable_parts_of_the_path_reach_connect_decoded() {
    let (server, _endpoint) = serve(bennu::socket::<RecordingSocket>("/ws/{id}/in/{room}")).await;
    let info = connect_info(&server, "/ws/42/in/a%20b%2Fc/websocket?vsn=2.0.0&name=x%20y", "").await;
    assert_eq!((&info["id"], &info["room"], &info["name"]), (&json!("42"), &json!("a b/c"), &json!("x y")));
}

#[tokio::test]
async fn the_log_names_a_path_parameter_that_the_mount_does_not_have() {
    struct TenantSocket;
    impl Socket for TenantSocket {
        type State = ();

        async fn connect(request: Connect) -> Result<Self, Refusal> {
            request.path_param("tenant")?;
            Ok(TenantSocket)
        }
        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    let (log, _guard) = Log::watch(tracing::Level::INFO);
    let (server, _endpoint) = serve(bennu::socket::<TenantSocket>("/ws/{id}")).await;
    assert_eq!(Client::refused(server.addr, "/ws/1/websocket", "").await.status, 403);
    assert!(log.has(&["refused connection", "parameter \"tenant\" is missing"]), "{:?}", log.lines());
}

#[tokio::test]
async fn a_trailing_slash_is_the_same_socket() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    Client::connect(server.addr, "/socket/websocket/?vsn=2.0.0").await.joined("room:1").await;
}

fn mount_error<S: Socket<State = ()>>(mount: Mount<S>) -> MountError {
    mount.router::<()>(&endpoint()).expect_err("a mount that is not valid")
}

#[test]
fn the_error_of_a_mount_contains_the_cause() {
    struct InvalidPatterns;
    impl Socket for InvalidPatterns {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Ok(InvalidPatterns)
        }
        fn channels(router: &mut ChannelRouter<Self>) {
            router.channel::<Room>("good:*").channel::<Room>("bad:*:x").channel::<Room>("*worse");
        }
    }
    assert_eq!(
        mount_error(bennu::socket::<InvalidPatterns>("/socket")).to_string(),
        "topic pattern \"bad:*:x\": `*` may only be the last character, found at byte 4 of 7"
    );
    for path in
        ["socket", "/socket/", "", "/", "/ws//x", "/ws/:id", "/ws/*", "/ws/{id", "/ws/{}", "/ws/{*rest}", "/w{id}"]
    {
        let error = mount_error(bennu::socket::<Open>(path));
        assert_eq!(error, MountError::Path(path.to_owned()));
        let rule =
            "the path must begin with \"/\" and must not end with \"/\", and a variable part is written \"{name}\"";
        assert_eq!(error.to_string(), format!("could not mount a socket at {path:?}: {rule}"));
    }
    let error = mount_error(bennu::socket::<Open>("/socket").serializers([]));
    let text = "could not mount a socket without a serializer; pass at least one to `serializers`";
    assert_eq!(error.to_string(), text);
    assert_eq!(format!("{error:?}"), text, "as `main` prints it");
}

#[test]
fn an_endpoint_mounts_a_path_once_for_as_long_as_the_router_exists() {
    let endpoint = endpoint();
    let mount = |path: &str| bennu::socket::<Open>(path).router::<()>(&endpoint);
    let first = mount("/socket").unwrap();
    let error = mount("/socket").unwrap_err();
    assert_eq!(error, MountError::Taken("/socket".to_owned()));
    let text = "could not mount a socket at \"/socket\": this endpoint already has a socket at that path; mount each \
                socket at a path of its own";
    assert_eq!((error.to_string(), format!("{error:?}")), (text.to_owned(), text.to_owned()));
    drop(first);
    let rooms = mount("/ws/{id}").unwrap().merge(mount("/socket").unwrap());
    assert!(
        matches!(mount("/ws/{name}"), Err(MountError::Taken(path)) if path == "/ws/{name}"),
        "the name of a variable part makes no difference"
    );
    assert!(mount("/ws/other").is_ok(), "another path");
    drop(rooms);
}
