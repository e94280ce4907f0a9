//! The statements of the inventory: reading all rows, releasing, restocking and pricing.
//!
//! `inventory` calls them. Each returns the changed rows as they are after the commit.

use super::Rows;
use crate::catalog::{Cents, Item, ItemId, Product, ProductId};
use crate::database::Database;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row, query};

const PRODUCT: &str = "SELECT id, name, price_cents, released, version FROM products ORDER BY id";
const ITEM: &str = "SELECT id, product_id, size, stocked, available, version FROM items ORDER BY id";

/// Reads all products and items.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn read_all(database: &Database) -> sqlx::Result<Rows> {
    read_all_by(&mut *database.pool().acquire().await?).await
}

/// Reads all products and items by a connection, which may be within a transaction.
pub(crate) async fn read_all_by(connection: &mut AnyConnection) -> sqlx::Result<Rows> {
    let products = query(PRODUCT).fetch_all(&mut *connection).await?;
    let items = query(ITEM).fetch_all(&mut *connection).await?;
    Ok(Rows {
        products: products.iter().map(product).collect::<Result<_, _>>()?,
        items: items.iter().map(item).collect::<Result<_, _>>()?,
    })
}

/// Releases a product. Returns its row; `None` when there is no such product.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn release(database: &Database, id: ProductId) -> sqlx::Result<Option<Product>> {
    let mut tx = database.begin().await?;
    fail::fail_point!("release-begun", |_| std::process::abort());
    let update = "UPDATE products SET released = 1, version = version + 1 WHERE id = $1
        RETURNING id, name, price_cents, released, version";
    let row = query(update).bind(id.0).fetch_optional(&mut *tx).await?;
    let released = row.as_ref().map(product).transpose()?;
    fail::fail_point!("release-updated", |_| std::process::abort());
    tx.commit().await?;
    fail::fail_point!("release-committed", |_| std::process::abort());
    Ok(released)
}

/// Sets the price of a product. Returns its row; `None` when there is no such product.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn set_price(database: &Database, id: ProductId, price: Cents) -> sqlx::Result<Option<Product>> {
    let update = "UPDATE products SET price_cents = $2, version = version + 1 WHERE id = $1
        RETURNING id, name, price_cents, released, version";
    let mut tx = database.begin().await?;
    let row = query(update).bind(id.0).bind(price.0).fetch_optional(&mut *tx).await?;
    let priced = row.as_ref().map(product).transpose()?;
    tx.commit().await?;
    Ok(priced)
}

/// Adds pairs to an item. Returns its row; `None` when there is no such item.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn restock(database: &Database, id: ItemId, amount: i64) -> sqlx::Result<Option<Item>> {
    let update = "UPDATE items SET stocked = stocked + $2, available = available + $2, version = version + 1
        WHERE id = $1 RETURNING id, product_id, size, stocked, available, version";
    let mut tx = database.begin().await?;
    let row = query(update).bind(id.0).bind(amount).fetch_optional(&mut *tx).await?;
    let restocked = row.as_ref().map(item).transpose()?;
    tx.commit().await?;
    Ok(restocked)
}

fn product(row: &AnyRow) -> sqlx::Result<Product> {
    Ok(Product {
        id: ProductId(row.try_get(0)?),
        name: row.try_get(1)?,
        price: Cents(row.try_get(2)?),
        released: row.try_get::<i64, _>(3)? == 1,
        version: row.try_get(4)?,
    })
}

fn item(row: &AnyRow) -> sqlx::Result<Item> {
    Ok(Item {
        id: ItemId(row.try_get(0)?),
        product_id: ProductId(row.try_get(1)?),
        size: row.try_get(2)?,
        stocked: row.try_get(3)?,
        available: row.try_get(4)?,
        version: row.try_get(5)?,
    })
}
