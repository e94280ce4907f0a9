//! A node of the store without pages and sockets: its inventory and its checkout, with their supervised tasks.

use super::DEADLINE;
use app_service::supervisor::Supervisor;
use bennu::pubsub::{InProcess, NodeName, PubSub};
use sneakers_23::checkout::Checkout;
use sneakers_23::database::Database;
use sneakers_23::inventory::{Inventory, Snapshot};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A node, whose tasks run once they are started by name.
pub(crate) struct Node {
    pub(crate) database: Database,
    pub(crate) inventory: Inventory,
    pub(crate) checkout: Checkout,
    pub(crate) supervisor: Supervisor,
}

/// All tasks of a node.
pub(crate) const TASKS: [&str; 5] = ["database", "inventory", "replication", "committer", "resolver"];

impl Node {
    /// Creates a node that runs no task.
    pub(crate) async fn idle(database: Database, pubsub: PubSub) -> Self {
        let inventory = Inventory::load(database.clone(), pubsub).await.unwrap();
        let checkout = Checkout::new(database.clone(), inventory.clone());
        Node { database, inventory, checkout, supervisor: Supervisor::new() }
    }

    /// Creates a node of its own that runs all tasks.
    pub(crate) async fn start(database: Database) -> Self {
        let node = Node::idle(database, PubSub::local()).await;
        node.run(&TASKS);
        node
    }

    /// Starts tasks of the node, as `Store::start` does.
    pub(crate) fn run(&self, tasks: &[&'static str]) {
        for task in tasks {
            let Node { database, inventory, checkout, .. } = self;
            let (database, inventory, checkout) = (database.clone(), inventory.clone(), checkout.clone());
            match *task {
                "database" => self.supervisor.start("database", move || database.clone().keep_open()),
                "inventory" => self.supervisor.start("inventory", move || inventory.clone().keep_current()),
                "replication" => self.supervisor.start("replication", move || inventory.clone().replicate()),
                "committer" => self.supervisor.start("committer", move || checkout.clone().run_committer()),
                "resolver" => self.supervisor.start("resolver", move || checkout.clone().run_resolver()),
                other => panic!("{other:?} is not a task: there are {TASKS:?}"),
            }
        }
    }

    /// Kills the run of a task, and waits until the next one is due.
    pub(crate) async fn kill(&self, task: &str) {
        let restarts = self.supervisor.restarts(task);
        let killed = async {
            // A task that waits for its next run cannot be killed. No event reports either.
            while !self.supervisor.kill(task) {
                sleep(Duration::from_millis(1)).await;
            }
            while self.supervisor.restarts(task) == restarts {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, killed).await.unwrap_or_else(|_| panic!("{task:?} is not started again"));
    }

    /// Waits until the snapshot of this node is as `is_met` requires.
    pub(crate) async fn shows(&self, condition: &str, is_met: impl Fn(&Snapshot) -> bool) {
        let mut changes = self.inventory.changes();
        let waiting = async {
            while !is_met(&self.inventory.snapshot()) {
                changes.next().await;
            }
        };
        let shown = timeout(DEADLINE, waiting).await;
        shown.unwrap_or_else(|_| panic!("{condition}: not in {DEADLINE:?}: {:#?}", self.inventory.snapshot()));
    }
}

/// Returns the PubSub of two connected nodes.
pub(crate) fn two_nodes() -> [PubSub; 2] {
    let cluster = InProcess::cluster();
    ["one", "two"].map(|name| PubSub::new(cluster.join(NodeName::new(name))))
}
