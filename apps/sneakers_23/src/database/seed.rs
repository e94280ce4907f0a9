//! The first stock: two products of 13 sizes each, as in the book. Some sizes are sold out, the others have 201 to 1,200
//! pairs.
//!
//! [`Database::open`] seeds an empty database; the command `seed --reset` begins anew in a used one.

use super::{Database, Tx, lock_items};
use crate::catalog::{Cents, ItemId, ProductId};
use rand::Rng;
use sqlx::{query, query_scalar};

/// The products of the seed: id, name, price.
const PRODUCTS: [(ProductId, &str, Cents); 2] =
    [(ProductId(1), "Shift Runner", Cents(12_000)), (ProductId(2), "Beta Court", Cents(14_000))];

const SIZES: [&str; 13] = ["6", "6.5", "7", "7.5", "8", "8.5", "9", "9.5", "10", "10.5", "11", "11.5", "12"];

/// The sizes of each product that are sold out from the start.
const SOLD_OUT: usize = 2;

/// Stores the stock of the seed if there are no products.
pub(super) async fn seed_if_empty(database: &Database) -> sqlx::Result<()> {
    let products: i64 = query_scalar("SELECT COUNT(*) FROM products").fetch_one(&*database.pool()).await?;
    if products > 0 {
        return Ok(());
    }
    let mut tx = database.begin().await?;
    // Two nodes may start at the same time: the second one finds the rows of the first.
    for (id, name, price) in PRODUCTS {
        let insert = "INSERT INTO products (id, name, price_cents, released, version) VALUES ($1, $2, $3, 0, 1)
            ON CONFLICT (id) DO NOTHING";
        query(insert).bind(id.0).bind(name).bind(price.0).execute(&mut *tx).await?;
    }
    for (id, product, size, stock) in stock() {
        let insert =
            "INSERT INTO items (id, product_id, size, stocked, available, version) VALUES ($1, $2, $3, $4, $4, 1)
            ON CONFLICT (id) DO NOTHING";
        let insert = query(insert).bind(id.0).bind(product.0).bind(size).bind(stock);
        insert.execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// Deletes all orders and refusals, withdraws the products, and gives every item a new stock.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn reset(database: &Database) -> sqlx::Result<()> {
    let mut tx = database.begin().await?;
    lock_items(database, &mut tx).await?;
    delete_orders(&mut tx).await?;
    for (id, _, price) in PRODUCTS {
        let update = "UPDATE products SET released = 0, price_cents = $2, version = version + 1 WHERE id = $1";
        query(update).bind(id.0).bind(price.0).execute(&mut *tx).await?;
    }
    for (id, _, _, stock) in stock() {
        let update = "UPDATE items SET stocked = $2, available = $2, version = version + 1 WHERE id = $1";
        query(update).bind(id.0).bind(stock).execute(&mut *tx).await?;
    }
    tx.commit().await
}

async fn delete_orders(tx: &mut Tx) -> sqlx::Result<()> {
    for delete in ["DELETE FROM order_items", "DELETE FROM orders", "DELETE FROM refusals"] {
        query(delete).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Returns every item of the seed with a random stock.
fn stock() -> Vec<(ItemId, ProductId, &'static str, i64)> {
    let mut random = rand::rng();
    let mut stock = Vec::new();
    for (product, _, _) in PRODUCTS {
        let sold_out = rand::seq::index::sample(&mut random, SIZES.len(), SOLD_OUT);
        for (index, size) in SIZES.into_iter().enumerate() {
            let id = ItemId(stock.len() as i64 + 1);
            let pairs = if sold_out.iter().any(|out| out == index) { 0 } else { random.random_range(201..=1200) };
            stock.push((id, product, size, pairs));
        }
    }
    stock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sizes_of_each_product_are_sold_out_and_the_others_have_201_to_1200_pairs() {
        for _ in 0..100 {
            let stock = stock();
            assert_eq!(stock.len(), 26);
            for (product, _, _) in PRODUCTS {
                let of_product: Vec<i64> = stock.iter().filter(|row| row.1 == product).map(|row| row.3).collect();
                assert_eq!(of_product.iter().filter(|pairs| **pairs == 0).count(), SOLD_OUT);
                assert!(of_product.iter().all(|pairs| *pairs == 0 || (201..=1200).contains(pairs)), "{of_product:?}");
            }
        }
    }
}
