//! The store: the products with their sizes, and the cart beside them.

use super::shopper::{Shell, Shopper, set_cart_cookie};
use crate::announcer;
use crate::catalog::{Item, ItemId, Level, Product};
use crate::checkout::{CartChange, CartError, CartView, LineView};
use crate::inventory::Snapshot;
use crate::sizes::sizes_html;
use crate::store::Store;
use app_service::web::{Fields, Form, Problem, page};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use strum::VariantNames;

#[derive(Template)]
#[template(path = "store.html")]
struct StorePage {
    shell: Shell,
    shelves: Vec<Shelf>,
    cart: CartView,
    blank: LineView,
    problem: Option<String>,
}

/// A product with its sizes.
struct Shelf {
    product: Product,
    /// The form with the sizes.
    sizes: String,
    smallest: String,
    largest: String,
    is_sold_out: bool,
}

impl Shelf {
    fn new(product: &Product, shelf: &Snapshot) -> Self {
        let size = |item: Option<&Item>| item.map(|item| item.size.clone()).unwrap_or_default();
        Shelf {
            product: product.clone(),
            sizes: sizes_html(product, shelf),
            smallest: size(shelf.items_of(product.id).next()),
            largest: size(shelf.items_of(product.id).last()),
            is_sold_out: shelf.items_of(product.id).all(|item| item.level() == Level::Out),
        }
    }

    fn state(&self) -> &'static str {
        match (self.product.released, self.is_sold_out) {
            (false, _) => "soon",
            (true, false) => "live",
            (true, true) => "sold-out",
        }
    }
}

/// `GET /`: the store. The query names the problem of the form that led here, if there was one.
pub(super) async fn show(State(store): State<Store>, shopper: Shopper, fields: Fields) -> Result<Response, Problem> {
    let shelf = store.inventory.snapshot();
    let store_page = StorePage {
        shell: shopper.shell("/"),
        shelves: shelf.products().map(|product| Shelf::new(product, &shelf)).collect(),
        cart: CartView::new(&shopper.cart, &shelf),
        blank: LineView::blank(),
        problem: problem(&fields, &shelf)?,
    };
    page(StatusCode::OK, &store_page)
}

/// `POST /cart/add`: adds an item, and returns to the store.
pub(super) async fn add(
    State(store): State<Store>,
    mut shopper: Shopper,
    Form(fields): Form,
) -> Result<Response, Problem> {
    let shelf = store.inventory.snapshot();
    let item = item_of(&fields, &shelf)?;
    if let Err(error) = shopper.cart.add(item.id, &shelf) {
        return Ok(Redirect::to(&format!("/?problem={}&item_id={}#cart", error.reason(), item.id)).into_response());
    }
    announcer::change_cart(&store.endpoint, &shopper.cart_id, CartChange::Add(item.id));
    Ok((set_cart_cookie(&store.carts, &shopper.cart), Redirect::to("/#cart")).into_response())
}

/// `POST /cart/remove`: removes an item, and returns to the page in the field `back`. An item that is not in the cart is
/// removed already.
pub(super) async fn remove(
    State(store): State<Store>,
    mut shopper: Shopper,
    Form(fields): Form,
) -> Result<Response, Problem> {
    let item = item_of(&fields, &store.inventory.snapshot())?.id;
    let back = match fields.optional("back") {
        None | Some("/") => "/#cart",
        Some("/checkout") => "/checkout",
        Some(other) => return Err(Problem::invalid(other, "a page to return to: it must be / or /checkout")),
    };
    if shopper.cart.remove(item).is_ok() {
        announcer::change_cart(&store.endpoint, &shopper.cart_id, CartChange::Remove(item));
    }
    Ok((set_cart_cookie(&store.carts, &shopper.cart), Redirect::to(back)).into_response())
}

/// Returns the sentence for the problem in a query.
fn problem(fields: &Fields, shelf: &Snapshot) -> Result<Option<String>, Problem> {
    let Some(reason) = fields.optional("problem") else { return Ok(None) };
    let error: CartError = reason.parse().map_err(|_| {
        let all = CartError::VARIANTS.join(", ");
        Problem::invalid(reason, format_args!("a problem of a cart: it must be one of {all}"))
    })?;
    let line = LineView::of_item(item_of(fields, shelf)?.id, shelf);
    let name = line.map_or_else(String::new, |line| format!("{}, size {}: ", line.name, line.size));
    Ok(Some(format!("{name}{error}")))
}

/// Returns the item in the field `item_id`.
fn item_of<'a>(fields: &Fields, shelf: &'a Snapshot) -> Result<&'a Item, Problem> {
    let text = fields.required("item_id")?;
    let item = text.parse().ok().and_then(|id: ItemId| shelf.item(id));
    item.ok_or_else(|| {
        let last = shelf.items().last().map_or(0, |item| item.id.0);
        Problem::invalid(text, format_args!("an item of the store: the items have the numbers 1 to {last}"))
    })
}
