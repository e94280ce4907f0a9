// The shopper's cart, one for all tabs: the channel `cart:<id>`, its copy in the browser, and its lines on the page.
//
// The server keeps no carts. It signs the items into a text, which the browser stores twice: in the cookie `cart`, which
// forms without a script use too, and in localStorage, which stays when the cookies of a session end.

import { meta } from "/assets/page.js";

const NAME = "cart";
const MAX_AGE_S = 7 * 24 * 60 * 60;

const REFUSED = "The store could not open your cart. It needs a cookie: allow cookies for this site, and reload the page.";

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", useGrouping: false });

/** Returns cents as `$120.00`. */
export const dollars = (cents) => money.format(cents / 100);

/** The cart. It sends an event `change` after each change. */
export class Cart extends EventTarget {
  /** The ids of the items. */
  ids = new Set();
  #channel;
  #items;
  #isRefused = false;
  #announce;
  #panel = document.querySelector("#cart");

  /**
   * Joins the cart's channel.
   * @param {Socket} socket
   * @param {function(string): void} announce
   */
  constructor(socket, announce) {
    super();
    this.#announce = announce;
    const unknown = document.querySelector("#unknown");
    // A function, so that each join sends the newest copy and not that of the first one.
    this.#channel = socket.channel(`cart:${meta("cart-id")}`, () => ({
      serialized: stored(),
      page: meta("cart-page"),
      page_loaded_at: Math.round(performance.timeOrigin),
      ...(unknown && { purchase: unknown.dataset.purchase }),
    }));
    this.#channel.on("cart", (cart) => this.#become(cart));
    this.#channel.on("purchase", ({ location: found }) => unknown && location.assign(found));
    this.#channel.join()
      .receive("ok", () => { this.#isRefused = false; })
      .receive("error", ({ reason }) => {
        // After a restart with another secret the page has the cart of a session that has ended.
        if (reason === "not_your_cart" && this.#items) location.reload();
        this.#isRefused = true;
      });
  }

  /**
   * Adds an item; while the cart is being joined, after that. Rejects with the server's sentence for the shopper, or with an empty message without an answer.
   * @param {number} itemId
   * @returns {Promise<void>}
   */
  add(itemId) {
    return this.#push("add_item", itemId);
  }

  /**
   * Removes an item; see `add`.
   * @param {number} itemId
   * @returns {Promise<void>}
   */
  remove(itemId) {
    return this.#push("remove_item", itemId);
  }

  #push(event, itemId) {
    if (this.#isRefused) return Promise.reject(new Error(REFUSED));
    return new Promise((resolve, reject) => {
      this.#channel.push(event, { item_id: itemId })
        .receive("ok", (cart) => { this.#become(cart); resolve(); })
        .receive("error", ({ message }) => reject(new Error(message)))
        .receive("timeout", () => reject(new Error("")));
    });
  }

  #become(cart) {
    store(cart.serialized);
    const before = this.#items;
    this.#items = cart.items;
    this.ids = new Set(cart.items.map((item) => item.id));
    if (before) this.#report(before, cart);
    for (const link of document.querySelectorAll("[data-cart-count]")) {
      link.dataset.cartCount = cart.items.length;
      link.textContent = cart.items.length;
    }
    if (this.#panel) this.#render(cart);
    const till = document.querySelector("#till");
    if (till && till.dataset.cart !== fingerprint(cart.items)) renew(till);
    this.dispatchEvent(new Event("change"));
  }

  /** Announces the difference that matters most. */
  #report(before, { items, subtotal_cents }) {
    const was = new Map(before.map((item) => [item.id, item]));
    const gone = items.filter((item) => item.out && was.get(item.id)?.out === false);
    const added = items.filter((item) => !was.has(item.id));
    const removed = before.filter((item) => !this.ids.has(item.id));
    const names = (list) => list.map((item) => `${item.name}, size ${item.size}`).join("; ");
    const sum = `The cart has ${items.length === 1 ? "1 pair" : `${items.length} pairs`}, ${dollars(subtotal_cents)}.`;
    if (gone.length > 0) this.#announce(`Sold out, and still in your cart: ${names(gone)}. ${sum}`);
    else if (added.length > 0) this.#announce(`In your cart: ${names(added)}. ${sum}`);
    else if (removed.length > 0) this.#announce(`Removed: ${names(removed)}. ${sum}`);
  }

  #render({ items, subtotal_cents }) {
    const list = this.#panel.querySelector(".lines");
    const lines = new Map([...list.children].map((line) => [Number(line.dataset.itemId), line]));
    for (const [index, item] of items.entries()) {
      const line = lines.get(item.id) ?? newLine(item);
      lines.delete(item.id);
      line.dataset.state = item.out ? "out" : "held";
      line.querySelector(".price").textContent = dollars(item.price_cents);
      if (list.children[index] !== line) list.insertBefore(line, list.children[index] ?? null);
    }
    for (const line of lines.values()) removeLine(line);
    for (const counted of [this.#panel, this.#panel.querySelector(".count")]) counted.dataset.count = items.length;
    this.#panel.querySelector(".count").textContent = items.length;
    const subtotal = this.#panel.querySelector("[data-subtotal]");
    subtotal.dataset.subtotal = subtotal_cents;
    subtotal.textContent = dollars(subtotal_cents);
  }
}

/** Creates a line from the page's template, which is the server's markup for a line. */
function newLine({ id, product_id, name, size }) {
  const line = document.querySelector("#line").content.firstElementChild.cloneNode(true);
  line.dataset.itemId = id;
  line.dataset.productId = product_id;
  line.querySelector("img").src = `/assets/product-${product_id}.svg`;
  line.querySelector(".name").textContent = name;
  line.querySelector("[data-size]").textContent = size;
  line.querySelector("[name=item_id]").value = id;
  line.querySelector("button.remove").setAttribute("aria-label", `Remove ${name}, size ${size}`);
  return line;
}

/** Removes a line. The focus goes from its button to that of the next line, or to the cart. */
function removeLine(line) {
  const neighbour = line.nextElementSibling ?? line.previousElementSibling;
  const hadFocus = line.contains(document.activeElement);
  line.remove();
  if (hadFocus) (neighbour?.querySelector("button.remove") ?? document.querySelector("#cart-title")).focus();
}

/** Returns the part of the cart that the checkout page was made for. */
function fingerprint(items) {
  return items.map(({ id, price_cents, out }) => `${id}:${price_cents}:${out ? "out" : "held"}`).join(" ");
}

/** Fetches the checkout page anew after a change in another tab, unless a payment is under way. */
async function renew(till) {
  if (till.querySelector("#pay button[aria-busy]")) return;
  const response = await fetch("/checkout", { cache: "no-store" });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#till");
  if (!fresh || !till.isConnected) return;
  const hadFocus = till.contains(document.activeElement);
  till.replaceWith(fresh);
  if (hadFocus) document.querySelector("#main").focus();
}

function stored() {
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith(`${NAME}=`));
  if (cookie) return cookie.slice(NAME.length + 1);
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function store(serialized) {
  document.cookie = `${NAME}=${serialized}; Path=/; Max-Age=${MAX_AGE_S}; SameSite=Lax`;
  try {
    localStorage.setItem(NAME, serialized);
  } catch {
    // Storage is blocked: the cookie alone keeps the cart.
  }
}
