// The owner's dashboard: shows the events of the channels `admin:store` and `admin:cart_tracker`, and sends the owner's
// actions.
//
// The server sends the overview and the counts of shoppers at most once a second. Each shopper's cart arrives as a
// presence only while few shoppers are here. Actions that shoppers notice at once are confirmed first.

import { Presence, Socket } from "/assets/phoenix.mjs";
import { clock, connect, meta } from "/assets/page.js";
import { announcer } from "./announce.js";

const MINUTE_MS = 60_000;
const PAGES = { "/": "in the store", "/checkout": "at the checkout", "/checkout/complete": "have bought" };

const $ = (selector) => document.querySelector(selector);
const number = new Intl.NumberFormat("en-US");
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const dollars = (cents) => money.format(cents / 100);
const pairs = (count) => (count === 1 ? "1 pair" : `${number.format(count)} pairs`);
const announce = announcer($("#announce"));

const connection = connect("/admin_socket", {
  Socket,
  params: () => ({ token: meta("admin-token"), _csrf_token: meta("csrf-token") }),
  labels: { connecting: "connecting", open: "live", retry: "trying again", refused: "signed out", off: "not live" },
});

/** Names of the items by id, as `Shift Runner 9.5`. */
const names = new Map();
/** The overviews of the last minute: the time, the orders and the revenue of each. */
let history = [];
let orders;
/** The presences of the shoppers; `null` while they are too many to be listed. */
let carts = [];
let shoppers;

const store = connection.socket.channel("admin:store");
store.on("overview", showOverview);
store.join().receive("ok", showOverview);

// The server sends an overview only after a change, and a minute also passes without one.
setInterval(() => orders && connection.state === "open" && showRates(), 5000);

const tracker = connection.socket.channel("admin:cart_tracker");
const presence = new Presence(tracker);
presence.onSync(() => {
  carts = presence.list((id, { metas }) => ({ id, metas }));
  showCarts();
});
tracker.on("shoppers", (counts) => {
  shoppers = counts;
  showShoppers(counts);
});
tracker.join();

function showOverview({ node, nodes, products, items, orders, sell_out, database_down_since }) {
  for (const product of products) showProduct(product);
  const released = products.some((product) => product.released);
  for (const item of items) {
    const product = products.find(({ id }) => id === item.product_id);
    names.set(item.id, `${product.name} ${item.size}`);
    showItem(item);
  }
  showOrders(orders);
  showSellOut(sell_out, released && items.some((item) => item.available > 0));
  showDatabase(database_down_since);
  write($("#nodes"), nodes > 1 ? `${node}, ${nodes} nodes` : `node ${node}`);
  if (shoppers) showShoppers(shoppers);
}

function showProduct({ id, released, price_cents }) {
  const row = $(`.release[data-product-id="${id}"]`);
  row.dataset.state = released ? "live" : "soon";
  const pill = row.querySelector(".pill");
  pill.dataset.released = released;
  pill.dataset.state = released ? "good" : "off";
  write(pill, released ? "released" : "coming soon");
  row.querySelector("[data-action=release]").hidden = released;
  const price = row.querySelector("[name=price]");
  const current = (price_cents / 100).toFixed(2);
  // A price that is being typed stays.
  if (price.value === price.defaultValue) price.value = current;
  price.defaultValue = current;
}

function showItem({ id, stocked, available, level }) {
  const row = $(`#stock tr[data-item-id="${id}"]`);
  set(row, "available", available, number.format(available));
  set(row, "sold", stocked - available, number.format(stocked - available));
  set(row, "level", level, level);
}

function showOrders(newest) {
  orders = newest;
  const { count, revenue_cents, latest } = orders;
  write($("#order-count"), number.format(count));
  $("#revenue").dataset.cents = revenue_cents;
  write($("#revenue"), dollars(revenue_cents));
  showRates();
  $("#no-orders").hidden = latest.length > 0;
  $("#orders").replaceChildren(...latest.map((order) => {
    const line = entry(order.number, dollars(order.total_cents), `${clock(new Date(order.at))} · ${order.items.join(", ")}`);
    line.dataset.number = order.number;
    return line;
  }));
}

/** Shows the orders and the revenue of the last minute. */
function showRates() {
  const { count, revenue_cents, latest } = orders;
  const now = Date.now();
  history = [...history.filter(({ at }) => at > now - MINUTE_MS), { at: now, count, revenue_cents }];
  const recent = latest.filter(({ at }) => at > now - MINUTE_MS);
  const revenueOfRecent = recent.reduce((sum, order) => sum + order.total_cents, 0);
  const revenue = Math.max(revenue_cents - history[0].revenue_cents, revenueOfRecent);
  // A page that was opened less than a minute ago knows only the newest orders of that minute.
  const isPart = recent.length < count && recent.length === latest.length && history[0].at > now - 0.9 * MINUTE_MS;
  const rate = (text) => `${isPart ? "at least " : ""}${text} in the last minute`;
  write($("#order-rate"), rate(number.format(Math.max(count - history[0].count, recent.length))));
  write($("#revenue-rate"), rate(dollars(revenue)));
}

function showSellOut(progress, hasStock) {
  const button = $("#sell-out");
  button.disabled = progress !== null || !hasStock;
  $("#stop-sell-out").hidden = progress === null;
  const bar = $("#sell-out-progress");
  bar.max = progress?.total ?? 1;
  bar.value = progress ? progress.total - progress.left : 0;
  const idle = hasStock ? "Not running" : "Not running: no released shoe has a pair left";
  write($("#sell-out-note"), progress ? `${number.format(bar.value)} of ${pairs(progress.total)} sold` : idle);
}

function showDatabase(downSince) {
  $("#database").toggleAttribute("data-state", false);
  if (downSince !== null) $("#database").dataset.state = "alarm";
  write($("#database-state"), downSince === null ? "up" : "down");
  if (downSince !== null) write($("#nodes"), `since ${clock(new Date(downSince))}; orders are as of then`);
}

function showShoppers({ count, by_page, held, detailed }) {
  $("#shoppers").dataset.count = count;
  write($("#shoppers"), number.format(count));
  const pages = Object.entries(by_page).map(([page, tabs]) => `${number.format(tabs)} ${PAGES[page] ?? page}`);
  write($("#by-page"), pages.join(", ") || "no page is open");
  for (const row of document.querySelectorAll("#stock tr[data-item-id]")) {
    const inCarts = held[row.dataset.itemId] ?? 0;
    set(row, "held", inCarts, number.format(inCarts));
  }
  const wanted = Object.entries(held).sort(([, a], [, b]) => b - a);
  write($("#in-carts"), number.format(wanted.reduce((sum, [, inCarts]) => sum + inCarts, 0)));
  write($("#most-wanted"), wanted.length ? `most: ${names.get(Number(wanted[0][0])) ?? ""}` : "all carts are empty");
  if (!detailed) carts = null;
  else carts ??= [];
  showCarts();
}

function showCarts() {
  const isEmpty = !carts?.length;
  $("#no-carts").hidden = !isEmpty;
  write($("#no-carts"), carts ? "Nobody is here." : "More than 200 shoppers are here: their carts are counted, not listed.");
  $("#carts").replaceChildren(...(carts ?? []).map(({ id, metas }) => {
    const { page, page_loaded_at, items } = metas.at(-1);
    const tabs = metas.length === 1 ? "" : `, ${metas.length} tabs`;
    const line = entry(
      items.map((item) => names.get(item) ?? item).join(", ") || "an empty cart",
      `since ${clock(new Date(page_loaded_at)).slice(0, 5)}`,
      `${id.slice(0, 6)}… is ${(PAGES[page] ?? page).replace("have bought", "done")}${tabs}`,
    );
    line.dataset.cartId = id;
    return line;
  }));
}

function entry(title, figure, note) {
  const line = document.createElement("li");
  for (const [tag, text] of [["b", title], ["span", figure], ["small", note]]) {
    line.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  return line;
}

/** Writes a value of a row: the data attribute, and the text of its cell. */
function set(row, name, value, text) {
  const cell = row.querySelector(`[data-${name}]`);
  cell.dataset[name] = value;
  write(cell, text);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The actions

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-action=release], #sell-out, #stop-sell-out");
  if (!button) return;
  if (button.matches("#stop-sell-out")) return send(button, "stop_sell_out", {}, "The simulation was stopped.");
  if (button.matches("#sell-out")) {
    const text = "Random pairs of every released shoe are bought until none is left. The orders stay in the books.";
    if (!await confirm("Sell out everything?", text, "Sell out")) return;
    return send(button, "sell_out", {}, "The simulation began.");
  }
  const productId = Number(button.dataset.productId);
  const name = button.closest(".release").querySelector("b").textContent;
  const text = "Every shopper on the page sees its sizes at once, and can buy. A release cannot be taken back here.";
  if (!await confirm(`Release ${name}?`, text, "Release")) return;
  send(button, "release", { product_id: productId }, `${name} is released.`);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const fields = new FormData(form);
  const button = form.querySelector("button");
  if (form.matches(".restock")) {
    event.preventDefault();
    const [item_id, amount] = [Number(fields.get("item_id")), Number(fields.get("amount"))];
    if (await send(button, "restock", { item_id, amount }, `${pairs(amount)} of ${names.get(item_id)} were added.`)) form.reset();
  } else if (form.matches(".price")) {
    event.preventDefault();
    const input = form.querySelector("[name=price]");
    const product_id = Number(fields.get("product_id"));
    const price_cents = Math.round(Number(fields.get("price")) * 100);
    if (await send(button, "set_price", { product_id, price_cents }, `The price is ${dollars(price_cents)}.`)) {
      input.value = input.defaultValue = (price_cents / 100).toFixed(2);
    }
  }
});

/** Sends an action, and shows the server's answer. Resolves to whether it was done. */
function send(button, event, payload, done) {
  write($("#problem"), "");
  button.setAttribute("aria-busy", "true");
  return new Promise((resolve) => {
    const end = (problem) => {
      button.removeAttribute("aria-busy");
      write($("#problem"), problem);
      if (!problem) announce(done);
      resolve(!problem);
    };
    if (store.state !== "joined") return end("The connection is lost, so nothing was done. Try again when the page is live.");
    store.push(event, payload)
      .receive("ok", () => end(""))
      .receive("error", ({ message }) => end(message))
      .receive("timeout", () => end("The store did not answer in time. Look at the figures before you try again."));
  });
}

/** Asks the owner in a dialog. Resolves to whether the action was confirmed. */
function confirm(title, text, action) {
  const dialog = $("#confirm");
  write($("#confirm-title"), title);
  write($("#confirm-text"), text);
  write($("#confirm-yes"), action);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
