//! The channels of shoppers and of the owner, one file each.

mod admin_store;
mod cart;
mod cart_tracker;
mod product;

pub use admin_store::AdminStoreChannel;
pub use cart::CartChannel;
pub use cart_tracker::CartTrackerChannel;
pub use product::ProductChannel;
