//! A node of the store as a process: its parts in the order of their start.
//!
//! `command` calls [`serve`]. Standard output has the address, the owner's password in development, and the result of
//! the drain.

use crate::AppError;
use crate::checkout::ledger;
use crate::control::{self, APP};
use crate::database::{self, OpenError};
use crate::store::Store;
use app_service::cluster::{self, ClusterConfigError};
use app_service::password::{Password, PasswordError};
use app_service::secret::{self, SecretSourceError};
use app_service::serve::{self, Service};
use app_service::supervisor::Supervisor;
use bennu::Endpoint;

/// The directory of the pages' files in the source repository; `ASSETS` replaces it.
const REPOSITORY_ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// A server that could not start, or that did not drain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Service(#[from] serve::ServeError),
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error("could not read the database: {0}")]
    Query(#[from] sqlx::Error),
    #[error(transparent)]
    Secret(#[from] SecretSourceError),
    #[error(transparent)]
    Cluster(#[from] ClusterConfigError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    App(#[from] AppError),
}

/// Serves on `port` (0: a free port) of the address `HOST` until Ctrl-C or SIGTERM, then drains.
///
/// # Errors
/// [`ServeError`]
pub(crate) async fn serve(port: u16, database_url: &str) -> Result<(), ServeError> {
    let service = Service::listen(APP, "Sneakers23", (serve::host()?, port))?;
    let database = database::open(database_url).await?;
    ledger::delete_old_refusals(&database).await?;
    let secret = secret::from_env_or_database(&database).await?;
    let endpoint = Endpoint::builder(secret).pubsub(cluster::pubsub()?).build();
    let owner = Password::from_env_or_printed("ADMIN_PASSWORD_HASH", "The owner's password for /admin")?;
    let store = Store::open(database, endpoint, owner).await?;
    let supervisor = Supervisor::new();
    store.start(&supervisor);

    let router = crate::app(&store, &serve::assets(REPOSITORY_ASSETS))?;
    let (commanded, tasks) = (store.clone(), supervisor.clone());
    let service = service.commands(move |request| {
        let (store, supervisor) = (commanded.clone(), tasks.clone());
        async move { control::answer(request, &store, &supervisor).await }
    });
    service.run(router, &store.endpoint).await?;
    supervisor.stop().await;
    Ok(())
}
