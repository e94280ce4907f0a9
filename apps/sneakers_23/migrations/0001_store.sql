-- The store, for SQLite and PostgreSQL. Times are milliseconds since 1970, money is in cents.
--
-- For every item: stocked = available + the item's rows in order_items.
-- A version grows by one with each change of its row, so that a reader knows the newer of two copies.

CREATE TABLE products (
    id          BIGINT PRIMARY KEY,
    name        TEXT NOT NULL,
    price_cents BIGINT NOT NULL CHECK (price_cents > 0),
    released    BIGINT NOT NULL CHECK (released IN (0, 1)),
    version     BIGINT NOT NULL
);

CREATE TABLE items (
    id         BIGINT PRIMARY KEY,
    product_id BIGINT NOT NULL REFERENCES products (id),
    size       TEXT NOT NULL,
    stocked    BIGINT NOT NULL,
    available  BIGINT NOT NULL CHECK (available >= 0),
    version    BIGINT NOT NULL,
    UNIQUE (product_id, size)
);

-- The id of an order is the id that the checkout page gave the purchase: a second order of one purchase is impossible.
CREATE TABLE orders (
    id          TEXT PRIMARY KEY,
    cart_id     TEXT NOT NULL,
    total_cents BIGINT NOT NULL,
    bought_at   BIGINT NOT NULL
);

CREATE INDEX orders_bought_at ON orders (bought_at);

CREATE TABLE order_items (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    item_id     BIGINT NOT NULL REFERENCES items (id),
    price_cents BIGINT NOT NULL,
    PRIMARY KEY (order_id, item_id)
);

-- The purchases that were refused, by the same id: the answer to a purchase is final.
CREATE TABLE refusals (
    id         TEXT PRIMARY KEY,
    reason     TEXT NOT NULL,
    refused_at BIGINT NOT NULL
);

-- Values that all nodes of the store share, such as the secret of its tokens.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
