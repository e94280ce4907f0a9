// The shoppers' pages: connects, follows the products and the cart, and takes over the forms.
//
// Without this script the forms do the same by POST. A page that could not connect yet leaves them alone, so the shop
// works from the first moment, and where sockets are blocked. The server decides everything: the page changes when the
// server's reply or event arrives, and every join reply has the whole state, also after a lost connection.

import { Socket } from "/assets/phoenix.mjs";
import { connect, meta } from "/assets/page.js";
import { announcer } from "./announce.js";
import { Cart } from "./cart.js";
import { Product } from "./product.js";

// Longer than the server takes for its slowest answer, that the outcome of a purchase is not known yet.
const GIVE_UP_MS = 20_000;
const LOST = "The connection is lost, so nothing was changed. The page tries again by itself.";
const NO_ANSWER = "The store did not answer in time. Look at your cart, and try again.";

const announce = announcer(document.querySelector("#announce"));
const problem = document.querySelector("#cart-problem");

const connection = connect("/product_socket", {
  Socket,
  params: () => ({ _csrf_token: meta("csrf-token") }),
  labels: { connecting: "connecting", open: "live", retry: "trying again", refused: "not live", off: "not live" },
});

const cart = new Cart(connection.socket, announce);
const products = [...document.querySelectorAll("article[data-product-id]")].map(
  (article) => new Product(connection.socket, article, announce),
);

cart.addEventListener("change", () => {
  for (const product of products) product.mark(cart.ids);
});

const FORMS = {
  "form.add": (form) => {
    const itemId = Number(new FormData(form).get("item_id"));
    return cart.add(itemId).then(() => added(form, itemId));
  },
  "form.remove": (form) => cart.remove(Number(new FormData(form).get("item_id"))),
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const button = event.submitter ?? form.querySelector("button");
  if (button.getAttribute("aria-busy") === "true") return event.preventDefault();
  button.setAttribute("aria-busy", "true");
  const send = Object.entries(FORMS).find(([selector]) => form.matches(selector))?.[1];
  if (!send || !connection.hasWorked) {
    // The browser sends the form. If the shopper stops it, it can be sent again: a purchase counts once.
    setTimeout(() => button.removeAttribute("aria-busy"), GIVE_UP_MS);
    return;
  }
  event.preventDefault();
  show("");
  try {
    if (connection.state !== "open") throw new Error(LOST);
    await send(form);
  } catch (error) {
    show(error.message || NO_ANSWER);
  } finally {
    button.removeAttribute("aria-busy");
  }
});

// A page that the browser kept, and shows again, does not wait for its old form.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
});

// A problem is about the last choice: the next one ends it.
document.addEventListener("change", () => show(""));

connection.addEventListener("state", () => {
  if (connection.state === "open" && problem?.textContent === LOST) show("");
});

function show(text) {
  if (problem && problem.textContent !== text) problem.textContent = text;
}

/** Shows below the form that the size is in the cart, for narrow pages, where the cart is out of sight. */
function added(form, itemId) {
  form.reset();
  const note = form.querySelector(".added");
  const size = form.querySelector(`.size[data-item-id="${itemId}"] b`).textContent;
  note.querySelector("span").textContent = `Size ${size} is in your cart.`;
  note.hidden = false;
}
