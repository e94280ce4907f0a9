// One product of the store: its release, price and stock, as the channel `product:<id>` sends them.

import { dollars } from "./cart.js";

export class Product {
  #article;
  #offer;
  #announce;
  #levels = {};
  #inCart = new Set();

  /**
   * Joins the product's channel.
   * @param {Socket} socket
   * @param {Element} article shows the product
   * @param {function(string): void} announce
   */
  constructor(socket, article, announce) {
    this.#article = article;
    this.#offer = article.querySelector(".offer");
    this.#announce = announce;
    const channel = socket.channel(`product:${article.dataset.productId}`);
    channel.on("released", ({ size_html }) => this.#release(size_html));
    channel.on("withdrawn", () => this.#withdraw());
    channel.on("stock_change", ({ item_id, level }) => {
      this.#levels[item_id] = level;
      this.#render();
    });
    channel.on("price_change", ({ price_cents }) => this.#price(price_cents));
    channel.join().receive("ok", (state) => this.#become(state));
  }

  /**
   * Marks the sizes that are in the cart.
   * @param {Set<number>} ids of items
   */
  mark(ids) {
    this.#inCart = ids;
    this.#render();
  }

  /** Shows the state of a join reply: of the first join, or of one after a lost connection. */
  #become({ released, price_cents, size_html, levels }) {
    this.#levels = levels;
    this.#price(price_cents);
    if (released) this.#release(size_html);
    else this.#withdraw();
    this.#render();
  }

  /** Puts the sizes in place, unless they are there. The focus, and a choice of the shopper, stay as they are. */
  #release(sizeHtml) {
    if (this.#article.dataset.state !== "soon") return;
    this.#article.dataset.state = "live";
    this.#announce(`${this.#name} is released. Choose a size.`);
    const change = () => {
      this.#offer.innerHTML = sizeHtml;
      this.#render();
    };
    if (document.hidden || !document.startViewTransition) return change();
    // Where there is no transition after all, the change is made without one.
    document.startViewTransition(change).ready.catch(() => {});
  }

  #withdraw() {
    if (this.#article.dataset.state === "soon") return;
    this.#article.dataset.state = "soon";
    this.#offer.replaceChildren(this.#article.querySelector("template").content.cloneNode(true));
  }

  #price(cents) {
    const price = this.#article.querySelector("[data-price]");
    price.dataset.price = cents;
    price.textContent = dollars(cents);
  }

  /** Shows levels and marks. The words of the levels are in the form, as the server wrote them. */
  #render() {
    const labels = [...this.#offer.querySelectorAll(".size")];
    for (const label of labels) {
      const id = Number(label.dataset.itemId);
      const level = this.#levels[id] ?? label.dataset.stock;
      const input = label.querySelector("input");
      const words = label.closest(".sizes").dataset;
      const isMine = level !== "out" && this.#inCart.has(id);
      label.dataset.stock = level;
      label.toggleAttribute("data-mine", isMine);
      label.querySelector("small").textContent = isMine ? words.mine : words[level];
      input.disabled = level === "out";
      if (input.disabled && input.checked) {
        input.checked = false;
        this.#announce(`${this.#name}, size ${label.querySelector("b").textContent}, has just sold out.`);
      }
    }
    if (labels.length === 0) return;
    const isGone = labels.every((label) => label.dataset.stock === "out");
    this.#article.dataset.state = isGone ? "sold-out" : "live";
  }

  get #name() {
    return this.#article.querySelector("h2").textContent;
  }
}
