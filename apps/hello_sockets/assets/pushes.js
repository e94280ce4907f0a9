// The pipeline's pushes to the user. Pushes of one event that arrive together are one entry, so the count shows the
// number of workers.

import { clock } from "/assets/page.js";

const MAX_ENTRIES = 40;
// The longest time between two pushes of one entry.
const TOGETHER_MS = 500;

export class Pushes {
  #list = document.querySelector("#pushes");
  #count = document.querySelector("#pushes-count");
  #clearButton = document.querySelector("#pushes-clear");
  #last = null;
  #lastAt = -Infinity;

  constructor() {
    this.#clearButton.addEventListener("click", () => this.#clear());
  }

  add(event, { n }) {
    const now = performance.now();
    if (this.#last?.event !== event || now - this.#lastAt > TOGETHER_MS) this.#begin(event);
    this.#lastAt = now;
    this.#last.add(n);
    const all = Number(this.#count.dataset.count) + 1;
    this.#count.dataset.count = all;
    this.#count.textContent = `${all} ${all === 1 ? "push" : "pushes"} so far.`;
  }

  #begin(event) {
    this.#last = new Together(event);
    this.#list.append(this.#last.element);
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.firstElementChild.remove();
    this.#clearButton.hidden = false;
  }

  #clear() {
    this.#last = null;
    this.#list.replaceChildren();
    this.#count.dataset.count = 0;
    this.#count.textContent = "Nothing was pushed since.";
    this.#clearButton.hidden = true;
  }
}

class Together {
  element = document.createElement("li");
  #numbers = [];
  #count = 0;
  #at = clock(new Date(), true);

  constructor(event) {
    this.event = event;
    this.element.dataset.event = event;
  }

  // The data may have no number, since `push` sends any typed JSON object.
  add(n) {
    this.#count += 1;
    if (Number.isFinite(n)) this.#numbers.push(n);
    const [first, last] = [Math.min(...this.#numbers), Math.max(...this.#numbers)];
    Object.assign(this.element.dataset, { count: this.#count, first, last });
    const which = !this.#numbers.length ? "" : first === last ? `, n ${first}` : `, n ${first} to ${last}`;
    this.element.textContent = `${this.#at} ${this.event} × ${this.#count}${which}`;
  }
}
