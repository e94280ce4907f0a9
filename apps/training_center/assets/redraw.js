// Drawings from the server, put into a page that is in use.
//
// The elements stay where they are, and only their differences change. So a tile that is replaced under a thumb keeps the
// tap, and the page keeps its focus, its scroll positions and its transitions.

/**
 * Makes the content of an element that of a drawing.
 * @param {Element} element
 * @param {string} html
 */
export function redraw(element, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  adaptChildren(element, template.content);
}

function adaptChildren(old, fresh) {
  const drawn = [...fresh.childNodes];
  drawn.forEach((child, place) => {
    const at = old.childNodes[place];
    const same = isSame(at, child) ? at : key(child) && [...old.childNodes].slice(place).find((other) => isSame(other, child));
    if (same !== at || !at) old.insertBefore(same || child, at ?? null);
    if (same) adapt(same, child);
  });
  while (old.childNodes.length > drawn.length) old.lastChild.remove();
}

function adapt(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  adaptChildren(old, fresh);
}

/** Returns whether two nodes show the same thing: a row the same person, a tile the same exercise. */
function isSame(old, fresh) {
  return old?.nodeName === fresh.nodeName && key(old) === key(fresh);
}

function key(node) {
  return node.dataset?.person ?? node.dataset?.exercise ?? node.dataset?.phase;
}
